//! The codec against RFC examples, tungstenite's own codec, every split point, and garbage.

use std::io::Cursor;

use proptest::prelude::*;
use tokio_tungstenite::tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

use super::*;

fn theirs(opcode: Opcode) -> OpCode {
    match opcode {
        Opcode::Continuation => OpCode::Data(Data::Continue),
        Opcode::Text => OpCode::Data(Data::Text),
        Opcode::Binary => OpCode::Data(Data::Binary),
        Opcode::Close => OpCode::Control(Control::Close),
        Opcode::Ping => OpCode::Control(Control::Ping),
        Opcode::Pong => OpCode::Control(Control::Pong),
    }
}

#[test]
fn rfc_6455_examples() {
    // RFC 6455 §5.7.
    let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    let header = Header { fin: true, opcode: Opcode::Text, mask: Some([0x37, 0xfa, 0x21, 0x3d]), length: 5 };
    assert_eq!(parse(&hello, Role::Server), Ok(Parsed::Done(header)));
    let mut out = Vec::new();
    push(&mut out, Opcode::Text, header.mask, &[b"He", b"llo"]);
    assert_eq!(out, hello);
    let binary_256 = [0x82, 0x7e, 0x01, 0x00];
    let header = Header { fin: true, opcode: Opcode::Binary, mask: None, length: 256 };
    assert_eq!(parse(&binary_256, Role::Client), Ok(Parsed::Done(header)));
    let binary_64k = [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0];
    let header = Header { fin: true, opcode: Opcode::Binary, mask: None, length: 65_536 };
    assert_eq!(parse(&binary_64k, Role::Client), Ok(Parsed::Done(header)));
}

#[test]
fn each_violation_has_its_name() {
    let cases: [(&[u8], FrameError); 11] = [
        (&[0xc2, 0x00], FrameError::Reserved),
        (&[0x83, 0x00], FrameError::Reserved),
        (&[0x8b, 0x00], FrameError::Reserved),
        (&[0x82, 0x80], FrameError::Mask),
        (&[0x09, 0x00], FrameError::Control),
        (&[0x89, 0x7e], FrameError::Control),
        (&[0x88, 0x7f], FrameError::Control),
        (&[0x82, 0x7e, 0, 125], FrameError::LengthForm),
        (&[0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff], FrameError::LengthForm),
        (&[0x82, 0x7f, 0x80, 0, 0, 0, 0, 1, 0, 0], FrameError::LengthForm),
        (&[0x82, 0x7f, 0, 0, 0, 0, 0, 0x10, 0, 1], FrameError::TooBig),
    ];
    for (bytes, error) in cases {
        assert_eq!(parse(bytes, Role::Client), Err(error), "{bytes:02x?}");
    }
    assert_eq!(parse(&[0x82, 0x00], Role::Server), Err(FrameError::Mask), "clients must mask");
}

#[test]
fn close_bodies() {
    assert_eq!(close_code(&[]), Ok(None));
    assert_eq!(close_code(&[0x03, 0xe8]), Ok(Some(1000)));
    assert_eq!(close_code(&[0x03, 0xe8, b'o', b'k']), Ok(Some(1000)));
    for bad in [&[0x03][..], &[0x03, 0xed], &[0x00, 0x00], &[0x03, 0xe8, 0xff]] {
        assert_eq!(close_code(bad), Err(FrameError::CloseBody));
    }
}

fn any_opcode() -> impl Strategy<Value = Opcode> {
    prop_oneof![
        Just(Opcode::Continuation),
        Just(Opcode::Text),
        Just(Opcode::Binary),
        Just(Opcode::Close),
        Just(Opcode::Ping),
        Just(Opcode::Pong),
    ]
}

proptest! {
    #[test]
    fn tungstenite_reads_what_we_write_and_we_at_every_cut(
        opcode in any_opcode(),
        mask: Option<[u8; 4]>,
        length in prop_oneof![0usize..130, 65_530usize..65_545],
    ) {
        let length = if opcode.is_control() { length % 126 } else { length };
        let payload: Vec<u8> = (0..length).map(|at| at.to_le_bytes()[0]).collect();
        let mut out = Vec::new();
        push(&mut out, opcode, mask, &[&payload]);
        let us = if mask.is_some() { Role::Server } else { Role::Client };
        let them = if mask.is_some() { Role::Client } else { Role::Server };
        let header_len = header_bytes(length, them);
        prop_assert_eq!(out.len(), header_len + length);
        for cut in 0..header_len {
            match parse(&out[..cut], us).unwrap() {
                Parsed::Need(need) => prop_assert!(need > cut && need <= header_len),
                Parsed::Done(_) => prop_assert!(false, "done at {} of {}", cut, header_len),
            }
        }
        let header = Header { fin: true, opcode, mask, length: length as u64 };
        prop_assert_eq!(parse(&out, us), Ok(Parsed::Done(header)));
        let (foreign, foreign_length) = FrameHeader::parse(&mut Cursor::new(&out[..])).unwrap().unwrap();
        prop_assert_eq!(foreign_length, length as u64);
        prop_assert_eq!(foreign.opcode, theirs(opcode));
        prop_assert_eq!(foreign.mask, mask);
        prop_assert!(foreign.is_final);
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..20), server: bool) {
        let us = if server { Role::Server } else { Role::Client };
        match parse(&bytes, us) {
            Ok(Parsed::Need(need)) => prop_assert!(need > bytes.len() && need <= MAX_HEADER_BYTES),
            Ok(Parsed::Done(header)) => prop_assert!(header.length <= MAX_FRAME_BYTES),
            Err(_) => {}
        }
        let code = close_code(&bytes);
        prop_assert!(code != Ok(Some(1005)) && code != Ok(Some(1006)), "codes that are never sent");
    }
}
