// The smallest guest that has something to say: a disk of one sector, which greets on its serial console and then gives back
// whatever is typed there.

const GREETING = "hello from the guest\r\n";

// prettier-ignore
const CODE = [
  0x31, 0xc0,             //         xor ax, ax
  0x8e, 0xd8,             //         mov ds, ax
  0xba, 0xf8, 0x03,       //         mov dx, 0x3f8     the first serial port
  0xbe, 0x2a, 0x7c,       //         mov si, greeting
  0xac,                   // greet:  lodsb
  0x84, 0xc0,             //         test al, al
  0x74, 0x03,             //         jz wait
  0xee,                   //         out dx, al
  0xeb, 0xf8,             //         jmp greet
  0xb4, 0x86,             // wait:   mov ah, 0x86      the BIOS waits
  0x31, 0xc9,             //         xor cx, cx
  0xba, 0x10, 0x27,       //         mov dx, 10000     microseconds
  0xcd, 0x15,             //         int 0x15
  0xba, 0xfd, 0x03,       //         mov dx, 0x3fd     its line status
  0xec,                   //         in al, dx
  0xa8, 0x01,             //         test al, 1        something came
  0x74, 0xef,             //         jz wait
  0xba, 0xf8, 0x03,       //         mov dx, 0x3f8
  0xec,                   //         in al, dx
  0xee,                   //         out dx, al
  0xeb, 0xe8,             //         jmp wait
];

/// The disk, raw, of two megabytes.
export function disk() {
  const bytes = Buffer.alloc(2 * 1024 * 1024);
  Buffer.from(CODE).copy(bytes);
  bytes.write(`${GREETING}\0`, CODE.length, "latin1");
  bytes.writeUInt16LE(0xaa55, 510);
  return bytes;
}
