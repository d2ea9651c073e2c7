//! What the command line comes to: the state, the port, the node and what looks on.

use std::path::Path;

use fusd::{Error, ErrorKind};
use fusd_tool::{CommonArgs, Driver, Tool, ToolError};

use super::Args;
use crate::connect::{self, Finish, no_thread};
use crate::device::SerialDevice;
use crate::hub::Hub;
use crate::monitor::{self, Clients, Job, Monitor, Ring, Slot};
use crate::options::{Options, Policy};
use crate::pty::{self, Pty};
use crate::rights::Rights;
use crate::state::State;
use crate::tap::Tap;
use crate::target::Target;

impl Tool for Args {
    const NAME: &'static str = "fusd-serial-proxy";
    type Device = SerialDevice;

    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn node_path(&self) -> Option<&Path> {
        self.node.as_deref().or(self.common.path.as_deref())
    }

    fn prepare(&self) -> Result<(), ToolError> {
        match self.monitor {
            true => monitor::prepare()
                .map_err(|error| Error::system(ErrorKind::Runtime, error, "block a signal").into()),
            false => Ok(()),
        }
    }

    fn driver(&self) -> Result<Driver<SerialDevice>, ToolError> {
        if let Some(text) = self.contradiction() {
            return Err(ToolError::usage(text));
        }
        let mut files = [&self.log, &self.pcap].into_iter().flatten();
        if self.monitor && files.any(|path| monitor::draws_on(path)) {
            return Err(ToolError::usage(
                "the monitor has the terminal for itself; give --log and --pcap a file",
            ));
        }
        if self.monitor && !monitor::has_terminal() {
            return Err(ToolError::usage(
                "the monitor needs a terminal as standard input and output; --log FILE notes the same in \
                 a file",
            ));
        }
        let ring = self.monitor.then(Ring::default);
        let hub = Hub::new(self.state(self.tap(ring.clone())?)).map_err(no_thread)?;
        let (other, finish) = self.connect(&hub)?;
        let slot = Slot::default();
        let show = self.show(&hub, ring, &slot)?;
        let rights = Rights::new(&self.writers);
        let pseudo = self.takes_pseudo_terminal();
        let (shown, ended, left) = (hub.clone(), hub.clone(), hub.clone());
        // Every handler is short, and has the queue's lock for all of it.
        let device = SerialDevice::new(hub.clone(), rights.clone());
        let flocks = device.flocks();
        let mut driver = Driver::new(device)
            .workers(1)
            .on_usr1(move || shown.queue().look(State::stats).to_string())
            .after_end(move || {
                // First the port: a terminal that takes nothing can hold up the monitor's end.
                left.change(|state, _| state.restore());
                slot.empty();
            });
        if self.stats {
            driver = driver.on_end(move || ended.queue().look(State::stats).to_string());
        }
        let second = self.second.clone().zip(other);
        if pseudo {
            let path = self.place()?;
            let access = self.access();
            return Ok(driver.own_node(move || {
                let beside = match second {
                    Some((path, hub)) => Some(Pty::new(&path, &hub, access)?),
                    None => None,
                };
                if let Some(finish) = finish {
                    pty::vacant(&path)?;
                    finish()?;
                }
                let node = Pty::new(&path, &hub, access)?.beside(beside);
                show(Clients::Terminal(node.terminal().to_owned()))?;
                Ok(Box::new(node))
            }));
        }
        let beside = second.map(|(path, hub)| (path, SerialDevice::new(hub, rights)));
        let other = beside
            .as_ref()
            .map(|(path, device)| (path.clone(), device.flocks()));
        driver = driver.on_ready(move |session| {
            finish.map_or(Ok(()), |finish| finish())?;
            let other = other.iter().map(|(path, flocks)| (path.as_path(), flocks));
            for (path, flocks) in other.chain([(session.path(), &flocks)]) {
                if let Err(error) = flocks.watch(path) {
                    tracing::warn!(%error, "flock(2) of a client keeps no other from writing");
                }
            }
            show(Clients::Device)
        });
        if let Some((path, device)) = beside {
            driver = driver.beside(path, device);
        }
        Ok(driver)
    }
}

impl Args {
    fn state(&self, tap: Option<Tap>) -> State {
        let options = Options {
            share: self.share,
            write_lock: self.write_lock,
            settings: match self.ro {
                true => Policy::Fixed,
                false => self.settings,
            },
            on_lost: self.on_lost,
            read_only: self.ro,
            size: self.size.unwrap_or(Options::default().size),
        };
        let mut state = State::new(options);
        if let Some(tap) = tap {
            state.tap(tap);
        }
        state
    }

    fn tap(&self, ring: Option<Ring>) -> Result<Option<Tap>, ToolError> {
        let mut tap = Tap::default();
        if let Some(ring) = ring {
            tap.show_in(ring);
        }
        let failed = |path: &Path, error| {
            Error::system(ErrorKind::Runtime, error, "write to the file")
                .on(path)
                .hint("choose another file")
        };
        if let Some(path) = &self.log {
            let result = tap.log_to(path, self.log_as);
            result.map_err(|error| failed(path, error))?;
        }
        if let Some(path) = &self.pcap {
            let result = tap.capture_to(path);
            result.map_err(|error| failed(path, error))?;
        }
        Ok(tap.is_needed().then_some(tap))
    }

    /// Joins `hub` with its port: the other end of a pair, and what is left to be done when the node is
    /// there.
    fn connect(&self, hub: &Hub) -> Result<(Option<Hub>, Option<Finish>), ToolError> {
        match self.port.as_ref().unwrap_or(&Target::Loop) {
            Target::Path(path) => {
                let finish = connect::device(hub, path, self.find.clone())?;
                return Ok((None, Some(finish)));
            }
            Target::Tcp(address) => connect::elsewhere(hub, address, false)?,
            Target::Rfc2217(address) => connect::elsewhere(hub, address, true)?,
            Target::Loop => connect::join(hub, None, self.pace)?,
            Target::Pair => {
                let other = Hub::new(self.state(None)).map_err(no_thread)?;
                connect::join(hub, Some(&other), self.pace)?;
                return Ok((Some(other), None));
            }
        }
        Ok((None, None))
    }

    /// What starts the monitor, if there is to be one: in `slot`, until that is emptied.
    fn show(
        &self,
        hub: &Hub,
        ring: Option<Ring>,
        slot: &Slot,
    ) -> Result<impl FnOnce(Clients) -> Result<(), ToolError> + use<>, ToolError> {
        let job = match self.monitor {
            true => Some(Job::new().map_err(no_thread)?),
            false => None,
        };
        let name = self.port.as_ref().map(Target::name).unwrap_or_default();
        let (hub, slot) = (hub.clone(), slot.clone());
        Ok(move |clients| {
            if let Some((ring, job)) = ring.zip(job) {
                let monitor = Monitor::start(&hub, ring, name, clients, job);
                slot.fill(monitor.map_err(no_thread)?);
            }
            Ok(())
        })
    }
}
