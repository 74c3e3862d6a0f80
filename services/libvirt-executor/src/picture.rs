//! Pictures of screens as PNG, whatever libvirt gives: QEMU writes PPM (netpbm's `P6`).

use bytes::Bytes;

use crate::engine::{EngineError, Picture};

/// More pixels than any screen has: what a header claims beyond is not believed.
const MOST_PIXELS: u64 = 64 << 20;

/// The picture as PNG.
///
/// # Errors
/// When libvirt gives a kind of picture that is not known, or one that is damaged.
pub fn png(picture: &Picture) -> Result<Bytes, EngineError> {
    match picture.mime.as_str() {
        "image/png" => Ok(picture.bytes.clone()),
        "image/x-portable-pixmap" => from_ppm(&picture.bytes).ok_or_else(|| EngineError::refuse("picture", "libvirt's picture is damaged")),
        other => Err(EngineError::refuse("picture", format!("libvirt gives pictures as {other}, and PNG or PPM are known here"))),
    }
}

fn from_ppm(bytes: &[u8]) -> Option<Bytes> {
    let (header, pixels) = header(bytes)?;
    let [width, height, most] = header;
    let size = u64::from(width).checked_mul(u64::from(height)).filter(|pixels| *pixels > 0 && *pixels <= MOST_PIXELS)?;
    let size = usize::try_from(size.checked_mul(3)?).ok()?;
    let mut written = Vec::new();
    let mut encoder = png::Encoder::new(&mut written, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(pixels.get(..size).filter(|_| most == 255)?).ok()?;
    writer.finish().ok()?;
    Some(written.into())
}

/// Width, height and greatest value of a `P6` picture, and what is behind: words between white space, comments from `#` to the end
/// of a line, and one single white space before the pixels.
fn header(bytes: &[u8]) -> Option<([u32; 3], &[u8])> {
    let mut rest = bytes.strip_prefix(b"P6")?;
    let mut numbers = [0; 3];
    for number in &mut numbers {
        loop {
            rest = rest.trim_ascii_start();
            match rest.strip_prefix(b"#") {
                Some(comment) => rest = comment.get(comment.iter().position(|byte| *byte == b'\n')?..)?,
                None => break,
            }
        }
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (word, behind) = rest.split_at_checked(digits)?;
        *number = std::str::from_utf8(word).ok()?.parse().ok()?;
        rest = behind;
    }
    let (white, pixels) = rest.split_first()?;
    white.is_ascii_whitespace().then_some((numbers, pixels))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ppm(bytes: &'static [u8]) -> Result<Bytes, EngineError> {
        png(&Picture { mime: "image/x-portable-pixmap".to_owned(), bytes: Bytes::from_static(bytes) })
    }

    #[test]
    fn a_picture_keeps_its_pixels() {
        let written = ppm(b"P6\n# by QEMU\n2 1\n255\n\x01\x02\x03\x0a\x0b\x0c").unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(written)).read_info().unwrap();
        let mut pixels = [0; 6];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height, info.color_type), (2, 1, png::ColorType::Rgb));
        assert_eq!(pixels, [1, 2, 3, 10, 11, 12]);
    }

    #[test]
    fn what_is_no_picture_is_told() {
        for damaged in [
            &b""[..],
            b"P5 1 1 255\n\0",
            b"P6 1 1 255\n\0\0",
            b"P6 1 1 65535\n\0\0\0\0\0\0",
            b"P6 0 1 255\n",
            b"P6 99999 99999 255\n",
            b"P6 1",
        ] {
            assert_eq!(ppm(damaged).unwrap_err().code, "picture", "{damaged:?}");
        }
        let strange = png(&Picture { mime: "image/gif".to_owned(), bytes: Bytes::new() }).unwrap_err();
        assert!(strange.message.contains("image/gif"), "{strange}");
        let already = Bytes::from_static(b"\x89PNG");
        assert_eq!(png(&Picture { mime: "image/png".to_owned(), bytes: already.clone() }).unwrap(), already);
    }
}
