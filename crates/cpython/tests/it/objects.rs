//! Strings, byte strings and types against what Python says they are.

use deadweight_cpython::type_object::{KnownType, check};
use deadweight_cpython::{Memory, Version, bytes, layout_for, unicode};

use crate::Subject;

#[test]
fn every_string_is_read_without_loss_at_any_buffer_size() {
    Subject::each(|subject| {
        subject.process.next_stop().expect("a stop");
        let mem = &subject.process.memory;
        assert!(subject.process.strings.len() >= 30);
        for (object, wanted) in &subject.process.strings {
            for room in (0..wanted.len().min(40)).chain([wanted.len(), wanted.len() + 1, wanted.len() + 300]) {
                let mut buffer = vec![0xaa; room];
                let text = unicode::utf8(mem, subject.layout, *object, &mut buffer).expect("a string");
                let mut cut = room.min(wanted.len());
                while !wanted.is_char_boundary(cut) {
                    cut -= 1;
                }
                assert_eq!(
                    std::str::from_utf8(&buffer[..text.len]),
                    Ok(&wanted[..cut]),
                    "{}",
                    subject.name
                );
                assert_eq!(text.truncated, cut < wanted.len());
            }
        }
        println!("{}: {} strings", subject.name, subject.process.strings.len());
    });
}

#[test]
fn every_byte_string_is_found() {
    Subject::each(|subject| {
        subject.process.next_stop().expect("a stop");
        assert!(subject.process.bytes.len() >= 6);
        for (object, wanted) in &subject.process.bytes {
            let content = bytes::content(&subject.process.memory, subject.layout, *object).expect("bytes");
            let mut found = vec![0; content.len as usize];
            assert!(subject.process.memory.read_into(content.addr, &mut found));
            assert_eq!(&found, wanted, "{}", subject.name);
        }
    });
}

#[test]
fn objects_of_other_types_are_refused() {
    Subject::each(|subject| {
        subject.process.next_stop().expect("a stop");
        let (mem, layout, process) = (&subject.process.memory, subject.layout, &subject.process);
        let strings = process.strings.iter().map(|(object, _)| *object);
        let all_bytes = process.bytes.iter().map(|(object, _)| *object);
        for object in process.others.iter().copied().chain(all_bytes) {
            assert_eq!(
                unicode::utf8(mem, layout, object, &mut [0; 64]),
                None,
                "{}",
                subject.name
            );
        }
        for object in process.others.iter().copied().chain(strings) {
            assert_eq!(bytes::content(mem, layout, object), None, "{}", subject.name);
        }
    });
}

#[test]
fn the_known_types_pass_their_check_and_no_other_type_does() {
    Subject::each(|subject| {
        let known = [
            (KnownType::Code, "PyCode_Type"),
            (KnownType::Unicode, "PyUnicode_Type"),
            (KnownType::Bytes, "PyBytes_Type"),
        ];
        for (expected, _) in known {
            for (actual, symbol) in known {
                let address = subject.symbols.address(symbol);
                let result = check(&subject.process.memory, subject.layout, expected, address);
                assert_eq!(
                    result.is_ok(),
                    expected == actual,
                    "{}: {expected:?}, {symbol}: {result:?}",
                    subject.name
                );
            }
        }
    });
}

#[test]
fn the_size_of_code_objects_tells_versions_apart_from_3_11_to_3_14() {
    Subject::each(|subject| {
        let code_type = subject.symbols.address("PyCode_Type");
        for minor in 9..=15 {
            let layout = layout_for(Version {
                major: 3,
                minor,
                micro: 0,
            })
            .unwrap();
            let fits = check(&subject.process.memory, layout, KnownType::Code, code_type).is_ok();
            let same_size =
                |a: u8, b: u8| a == b || (a.max(b) == 10 && a.min(b) == 9) || (a.min(b) == 14 && a.max(b) == 15);
            assert_eq!(
                fits,
                same_size(minor, subject.layout.minor),
                "{}: 3.{minor}",
                subject.name
            );
        }
    });
}
