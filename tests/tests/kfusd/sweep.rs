//! Every field of every message to the module, at every wrong value of its kind. The fields come
//! from the protocol's own table, so that none is forgotten. After each message the module must have
//! done what the protocol says of it, and nothing else; and a good device must work.

mod scene;

use std::path::PathBuf;
use std::sync::Arc;

use fusd::wire::{self, COMMANDS, CopyOut, Register, operation};
use fusd_tests::wait::start;
use nix::errno::Errno;

use crate::driver::{ALL, Driver, message, name, registration};
use crate::fuzz::{Good, fields, get, set, wrong_values};
use crate::module::tests;
use crate::raw::Arena;
use scene::{DEVICE, Scene};

/// What of a message is tried.
struct Case {
    at: usize,
    size: usize,
    value: u64,
}

/// All wrong values of all fields of `right`.
fn cases(scene: &Scene, right: &[u8]) -> Vec<Case> {
    let foreign = [
        scene.finished,
        scene.file_number(),
        scene.read_id().unwrap_or(3),
        scene.ioctl_id().unwrap_or(4),
        DEVICE,
        1 << 20,
        (1 << 20) + 1,
        wire::TRANSFER_MAX.into(),
        u64::from(wire::TRANSFER_MAX) + 1,
    ];
    let operation = get(right, 4, 2).expect("a header") as u16;
    let mut cases = Vec::new();
    for field in fields(operation) {
        let now = get(right, field.at, field.size).expect("a whole message");
        for value in wrong_values(field.size, now, &foreign) {
            cases.push(Case {
                at: field.at,
                size: field.size,
                value,
            });
        }
    }
    cases
}

/// What was tried so far.
#[derive(Default)]
struct Tried {
    messages: usize,
    /// Of these, the ones that were right after all.
    taken: usize,
}

impl Tried {
    /// Tries all wrong values of the right message `which` of this operation, on a driver that has
    /// said hello or not.
    fn try_all(
        &mut self,
        operation: u16,
        which: usize,
        agreed: bool,
        good: &Good,
        arena: &Arc<Arena>,
    ) {
        let make = || match agreed {
            true => Scene::new(arena),
            false => Scene::fresh(arena),
        };
        let mut scene = make();
        let count = cases(&scene, &scene.right(operation)[which]).len();
        for index in 0..count {
            // The same field and kind of value, in the numbers of this scene.
            let mut bytes = scene.right(operation).swap_remove(which);
            if let Some(case) = cases(&scene, &bytes).get(index) {
                set(&mut bytes, case.at, case.size, case.value);
            }
            if self.try_one(&mut scene, &bytes) {
                scene.finish();
                scene = make();
            }
            good.check();
        }
        scene.finish();
    }

    /// Tries a message. Whether it was taken.
    fn try_one(&mut self, scene: &mut Scene, bytes: &[u8]) -> bool {
        let said = scene.driver.control().write(bytes).map(drop);
        let expected = scene.expected(bytes);
        assert_eq!(said, expected.map(drop), "{bytes:02x?}");
        self.messages += 1;
        match expected {
            Ok(command) => {
                self.taken += 1;
                scene.check_effect(command, bytes);
            }
            Err(_) => scene.driver.expect_nothing(),
        }
        expected.is_ok()
    }
}

tests! {
    fn every_field_at_every_wrong_value() {
        let arena = Arc::new(Arena::new());
        let good = Good::new();
        // Of the same numbers, on another connection: nothing may reach it.
        let other = Scene::new(&arena);
        let mut tried = Tried::default();
        for layout in COMMANDS {
            let operation = layout.operation;
            for which in 0..other.right(operation).len() {
                tried.try_all(operation, which, true, &good, &arena);
                if operation == operation::HELLO {
                    tried.try_all(operation, which, false, &good, &arena);
                }
            }
        }
        other.driver.expect_nothing();
        other.finish();
        good.end();
        let Tried { messages, taken } = tried;
        // Or else little was tried.
        assert!(messages > 600 && taken > 60, "{taken} of {messages} were taken");
        println!("{messages} messages, {taken} of them right after all");
    }

    fn a_copy_over_the_devices_limit_is_refused_whatever_its_memory() {
        let driver = Driver::connect();
        let name = name();
        let register = Register {
            device: DEVICE,
            operations: ALL,
            flags: wire::REGISTER_RAW_IOCTL,
            mode: 0o666,
            max_transfer: 100,
            ..Register::default()
        };
        driver.say(&registration(register, &name)).expect("register");
        let (file, _) = driver.open(&PathBuf::from("/dev").join(&name));
        let arena = Arc::new(Arena::new());
        let calling = { let arena = Arc::clone(&arena); start(move || arena.ioctl(&file, 0x6b01)) };
        let request = driver.expect(operation::IOCTL);
        let copy = |length: u32| {
            let copy = CopyOut { address: arena.range().start, length, reserved: 0 };
            message(operation::COPY_OUT, 0, request.id(), &[&copy.to_bytes(), &vec![0; length as usize]])
        };
        let whole = copy(101);
        assert_eq!(driver.say(&whole), Err(Errno::EINVAL));
        // The limit is looked at first: the bytes need not even be there.
        let mut half = crate::raw::HalfMapped::new();
        half.fill(&whole[..64]);
        let result = half.write(driver.control(), 64, whole.len());
        assert_eq!(result, Err(Errno::EINVAL));
        driver.say(&copy(100)).expect("copy");
        driver.expect(operation::COPIED);
        driver.answer(request.id(), 0, b"").expect("answer");
        assert_eq!(calling.wait(), Ok(0));
    }
}
