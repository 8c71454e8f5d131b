//! The wire's VLAN tag: taken off what the kernel gets, put on what it sends.

use packet::Frame;

const TAG: usize = 4;
const ADDRESSES: usize = 12;

/// Removes the tag of a frame that has one. `false` if it is too short.
pub(crate) fn remove(frame: &mut impl Frame) -> bool {
    if frame.bytes().len() < ADDRESSES + TAG {
        return false;
    }
    frame.bytes_mut().copy_within(..ADDRESSES, TAG);
    frame.trim_front(TAG)
}

/// Inserts a tag with this id. `false` without the headroom.
pub(crate) fn insert(frame: &mut impl Frame, id: u16) -> bool {
    let Some(bytes) = frame.prepend(TAG) else { return false };
    if bytes.len() < ADDRESSES + TAG {
        return false;
    }
    bytes.copy_within(TAG..TAG + ADDRESSES, 0);
    bytes[ADDRESSES..ADDRESSES + 2].copy_from_slice(&[0x81, 0x00]);
    bytes[ADDRESSES + 2..ADDRESSES + TAG].copy_from_slice(&id.to_be_bytes());
    true
}

#[cfg(test)]
mod tests {
    use packet::Buffer;

    use super::*;

    #[test]
    fn a_tag_goes_on_and_off() {
        let plain: Vec<u8> = (0..60).collect();
        let mut frame = Buffer::new(&plain);
        assert!(insert(&mut frame, 100));
        assert_eq!(frame.all()[..12], plain[..12]);
        assert_eq!(frame.all()[12..16], [0x81, 0x00, 0, 100]);
        assert_eq!(frame.all()[16..], plain[12..]);
        assert!(remove(&mut frame));
        assert_eq!(frame.all(), plain);
    }

    #[test]
    fn a_frame_too_short_for_a_tag_is_left_alone() {
        assert!(!remove(&mut Buffer::new(&[0; 15])));
    }
}
