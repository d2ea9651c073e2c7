//! Random circles of drivers against a model: which call fails, and that nothing else does.

use std::path::PathBuf;
use std::sync::Arc;

use fusd::wire::{IMPLEMENTS_WRITE, REGISTER_STREAM};
use fusd_tests::client::{self, Outcome};
use fusd_tests::wait::{Started, rounds, start};
use nix::errno::Errno;

use super::{deadlocks, dismiss, limit, worker};
use crate::driver::{Driver, answer};
use crate::module::tests;
use crate::stress::Random;

/// Drivers, and how many threads each has.
struct World {
    drivers: Vec<(Arc<Driver>, PathBuf, Vec<Started<()>>)>,
    threads: Vec<usize>,
}

impl World {
    /// Drivers whose threads write what is left of a plan to the device that is next in it.
    fn new(threads: Vec<usize>) -> Self {
        let drivers: Vec<_> = threads
            .iter()
            .map(|&count| {
                let (driver, node) = Driver::with_device(IMPLEMENTS_WRITE, REGISTER_STREAM);
                limit(&driver, u32::try_from(count).expect("a few"));
                (Arc::new(driver), node)
            })
            .collect();
        let nodes: Arc<[PathBuf]> = drivers.iter().map(|(_, node)| node.clone()).collect();
        let drivers = drivers
            .into_iter()
            .zip(&threads)
            .map(|((driver, node), &count)| {
                let serve = |_| {
                    let nodes = Arc::clone(&nodes);
                    worker(&driver, move |_, request| {
                        match follow(&nodes, &request.written()[1..]) {
                            Ok(()) => answer(request.id(), 0, request.written().len() as u64, b""),
                            Err(errno) => answer(request.id(), errno as i32, 0, b""),
                        }
                    })
                };
                let workers = (0..count).map(serve).collect();
                (driver, node, workers)
            })
            .collect();
        Self { drivers, threads }
    }

    fn nodes(&self) -> Arc<[PathBuf]> {
        self.drivers
            .iter()
            .map(|(_, node, _)| node.clone())
            .collect()
    }

    /// The driver whose call fails if nobody else calls.
    fn model(&self, plan: &[u8]) -> Option<usize> {
        let mut busy = vec![0; self.threads.len()];
        plan.iter().map(|&next| usize::from(next)).find(|&next| {
            busy[next] += 1;
            busy[next] > self.threads[next]
        })
    }

    fn end(self) {
        for (driver, _, workers) in self.drivers {
            dismiss(&driver, workers);
        }
    }
}

/// Has the device that comes first do the plan.
fn follow(nodes: &[PathBuf], plan: &[u8]) -> Outcome<()> {
    let Some(&next) = plan.first() else {
        return Ok(());
    };
    let file = client::open(&nodes[usize::from(next)])?;
    assert_eq!(file.write(plan)?, plan.len());
    Ok(())
}

fn plan(random: &mut Random, drivers: usize) -> Vec<u8> {
    let length = 1 + random.below(3 * drivers);
    (0..length)
        .map(|_| u8::try_from(random.below(drivers)).expect("a few"))
        .collect()
}

tests! {
    fn what_fails_is_what_the_model_says() {
        let mut random = Random::new(11);
        for _ in 0..4 {
            let count = 2 + random.below(4);
            let world = World::new((0..count).map(|_| 1 + random.below(2)).collect());
            let nodes = world.nodes();
            for _ in 0..rounds(60) {
                let plan = plan(&mut random, count);
                let before: Vec<_> = nodes.iter().map(|node| deadlocks(node)).collect();
                let failing = world.model(&plan);
                let expected = failing.map_or(Ok(()), |_| Err(Errno::EDEADLK));
                let (nodes, told) = (Arc::clone(&nodes), plan.clone());
                let result = start(move || follow(&nodes, &told)).wait();
                assert_eq!(result, expected, "{:?} {plan:?}", world.threads);
                for (index, node) in world.nodes().iter().enumerate() {
                    let failed = u32::from(failing == Some(index));
                    assert_eq!(deadlocks(node), before[index] + failed, "{plan:?} {index}");
                }
            }
            world.end();
        }
    }

    fn plans_side_by_side_all_end() {
        let mut random = Random::new(12);
        let world = World::new(vec![1, 2, 1, 2]);
        let clients: Vec<_> = (0..4)
            .map(|seed| {
                let nodes = world.nodes();
                let mut random = Random::new(random.next() + seed);
                start(move || {
                    let mut failed = 0;
                    for _ in 0..rounds(100) {
                        match follow(&nodes, &plan(&mut random, 4)) {
                            Ok(()) => {}
                            Err(errno) => {
                                assert_eq!(errno, Errno::EDEADLK);
                                failed += 1;
                            }
                        }
                    }
                    failed
                })
            })
            .collect();
        let failed: Vec<u32> = clients.into_iter().map(Started::wait).collect();
        let counted: u32 = world.nodes().iter().map(|node| deadlocks(node)).sum();
        // Each that failed was one call's doing.
        assert_eq!(failed.iter().sum::<u32>(), counted);
        world.end();
    }

    fn a_plan_without_a_circle_never_fails() {
        // Each driver calls only those behind it: however many clients, nothing is a circle.
        let world = World::new(vec![1, 1, 1, 2]);
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let nodes = world.nodes();
                start(move || {
                    for _ in 0..rounds(100) {
                        follow(&nodes, &[0, 1, 2, 3]).expect("no false alarm");
                        follow(&nodes, &[1, 3]).expect("no false alarm");
                    }
                })
            })
            .collect();
        clients.into_iter().for_each(Started::wait);
        assert!(world.nodes().iter().all(|node| deadlocks(node) == 0));
        world.end();
    }
}
