//! A guest of one sector, for what a guest's system has no part in: it boots from a disk or a disc by the BIOS, counts its boots on the disk,
//! tells the disk's size and what stands on every other disk, each on the serial line, and does nothing more. It does not hear when it
//! is asked to end.
#![allow(unsafe_code)] // The bytes of the program are reached by its symbols.
#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, clippy::missing_panics_doc)]

use std::path::{Path, PathBuf};
use std::process::Command;

// BIOS interrupt 13h: 42h reads and 43h writes by a packet (at 0x7200), 48h tells the size (to 0x7100). Sectors come to 0x7e00, the number of
// disks stands at 0x475, and the serial line is COM1 (0x3f8).
core::arch::global_asm!(
    r#"
    .pushsection .rodata.orrery_test_sector, "a"
    .globl orrery_test_sector
    .globl orrery_test_sector_end
    .code16
orrery_test_sector:
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    cld
    movb %dl, 0x7000
    movb $0x80, 0x7001
    testb $0x60, %dl
    jnz 3f
    incb 0x7001
    movw $1, %cx
    movb $0x42, %ah
    call 20f
    incb 0x7e00
    movb $0x43, %ah
    call 20f
    movw $(30f - orrery_test_sector + 0x7c00), %si
    call 10f
    movb 0x7e00, %al
    addb $0x30, %al
    call 12f
    movw $(31f - orrery_test_sector + 0x7c00), %si
    call 10f
    movw $0x1e, 0x7100
    movw $0x7100, %si
    movb $0x48, %ah
    movb 0x7000, %dl
    int $0x13
    movw 0x7112, %ax
    call 15f
    movw 0x7110, %ax
    call 15f
    jmp 4f
3:  movw $(32f - orrery_test_sector + 0x7c00), %si
    call 10f
4:  movb $0x0a, %al
    call 12f
5:  movb 0x7001, %dl
    movb %dl, %al
    subb $0x80, %al
    cmpb 0x475, %al
    jae 8f
    movb %dl, 0x7000
    xorw %cx, %cx
6:  movb $0x42, %ah
    call 20f
    jc 7f
    pushw %cx
    movw $0x7e00, %si
    movw $0x200, %cx
9:  lodsb
    cmpb $0x20, %al
    jb 1f
    call 12f
1:  loop 9b
    popw %cx
    incw %cx
    cmpw $96, %cx
    jb 6b
7:  incb 0x7001
    jmp 5b
8:  movw $(33f - orrery_test_sector + 0x7c00), %si
    call 10f
2:  hlt
    jmp 2b

10: lodsb
    testb %al, %al
    jz 11f
    call 12f
    jmp 10b
11: ret
12: movw $0x3fd, %dx
    movb %al, %ah
13: inb %dx, %al
    testb $0x20, %al
    jz 13b
    movb %ah, %al
    movw $0x3f8, %dx
    outb %al, %dx
    ret
15: movw $4, %cx
16: rolw $4, %ax
    pushw %ax
    andb $0x0f, %al
    addb $0x30, %al
    cmpb $0x3a, %al
    jb 17f
    addb $0x27, %al
17: call 12b
    popw %ax
    loop 16b
    ret
20: movw $0x10, 0x7200
    movw $1, 0x7202
    movw $0x7e00, 0x7204
    movw $0, 0x7206
    movw %cx, 0x7208
    movw $0, 0x720a
    movw $0, 0x720c
    movw $0, 0x720e
    movw $0x7200, %si
    movb 0x7000, %dl
    xorb %al, %al
    int $0x13
    ret
30: .asciz "boot "
31: .asciz " of "
32: .asciz "from the disc"
33: .asciz "\nthat is all\n"
orrery_test_sector_end:
    .code64
    .popsection
    "#,
    options(att_syntax)
);

unsafe extern "C" {
    static orrery_test_sector: u8;
    static orrery_test_sector_end: u8;
}

/// The program, as the BIOS takes it from the first sector.
fn sector() -> Vec<u8> {
    let (start, end) = (&raw const orrery_test_sector, &raw const orrery_test_sector_end);
    // SAFETY: the bytes between the two symbols are the program.
    let mut bytes = unsafe { std::slice::from_raw_parts(start, end.offset_from(start).try_into().unwrap()) }.to_vec();
    assert!(bytes.len() <= 510, "the program has {} bytes", bytes.len());
    bytes.resize(510, 0);
    bytes.extend([0x55, 0xaa]);
    bytes
}

/// A disk image of 2 MiB, byte for byte.
pub fn disk() -> Vec<u8> {
    let mut image = sector();
    image.resize(2 << 20, 0);
    image
}

/// The same as QEMU writes it.
pub fn qcow2(folder: &Path) -> Vec<u8> {
    let (raw, made): (PathBuf, PathBuf) = (folder.join("sector.raw"), folder.join("sector.qcow2"));
    std::fs::write(&raw, disk()).unwrap();
    let converted = Command::new("qemu-img").args(["convert", "-f", "raw", "-O", "qcow2"]).arg(&raw).arg(&made).status().unwrap();
    assert!(converted.success(), "qemu-img converts the image");
    std::fs::read(made).unwrap()
}

/// A disc that boots it (ISO 9660, El Torito without emulation).
pub fn disc() -> Vec<u8> {
    const SECTOR: usize = 2048;
    let mut image = vec![0; 64 * SECTOR];
    let mut put = |at: usize, bytes: &[u8]| image.get_mut(at..at + bytes.len()).unwrap().copy_from_slice(bytes);
    put(16 * SECTOR, b"\x01CD001\x01");
    put(17 * SECTOR, b"\x00CD001\x01EL TORITO SPECIFICATION");
    put(17 * SECTOR + 0x47, &19_u32.to_le_bytes());
    put(18 * SECTOR, b"\xffCD001\x01");
    // The entry that validates the catalogue: its words add up to nothing. The entry behind it boots sector 20.
    put(19 * SECTOR, &[1]);
    put(19 * SECTOR + 28, &0_u16.wrapping_sub(1).wrapping_sub(0xaa55).to_le_bytes());
    put(19 * SECTOR + 30, &[0x55, 0xaa]);
    put(19 * SECTOR + 32, &[0x88, 0, 0, 0, 0, 0, 4, 0, 20, 0, 0, 0]);
    put(20 * SECTOR, &sector());
    image
}
