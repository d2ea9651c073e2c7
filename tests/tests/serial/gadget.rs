//! A USB serial adapter that the kernel emulates, as its kernels in the lab can: a controller
//! (`dummy_hcd`) with a device of the CDC ACM class at it, both sides in one machine.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::helper::{open, stty};
use fusd_tests::Case;
use fusd_tests::client::Handle;

/// Where devices are described.
const DESCRIPTIONS: &str = "/sys/kernel/config/usb_gadget";

/// Where the controllers are that emulated devices are plugged into.
const CONTROLLERS: &str = "/sys/class/udc";

/// Vendor and product, as ports are asked for: numbers that are for tests.
pub(crate) const IDS: &str = "1209:0001";

/// What a device says of itself beside these.
pub(crate) const MAKER: &str = "fusd";
pub(crate) const PRODUCT: &str = "adapter";

/// There is one controller.
static TURN: Mutex<()> = Mutex::new(());

/// An adapter. Dropped, it is unplugged.
pub(crate) struct Gadget<'a> {
    case: &'a Case,
    folder: PathBuf,
    controller: String,
    _turn: MutexGuard<'static, ()>,
}

impl<'a> Gadget<'a> {
    /// An adapter that is not plugged in, with this serial number.
    ///
    /// `None` where there can be none: the test is then to return.
    #[track_caller]
    pub(crate) fn new(case: &'a Case, serial: &str) -> Option<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let controllers = fs::read_dir(CONTROLLERS).into_iter().flatten().flatten();
        let names = controllers.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let controller = names.into_iter().find(|name| name.starts_with("dummy_udc"));
        let Some(controller) = controller.filter(|_| Path::new(DESCRIPTIONS).is_dir()) else {
            case.skip("no USB is emulated here (dummy_hcd, configfs), as in the lab's kernel um");
            return None;
        };
        let folder = Path::new(DESCRIPTIONS).join(case.token());
        let gadget = Self {
            case,
            folder,
            controller,
            _turn: turn,
        };
        gadget.describe(serial).expect("an adapter");
        Some(gadget)
    }

    fn describe(&self, serial: &str) -> std::io::Result<()> {
        let [words, function, configuration] = self.parts();
        for folder in [&self.folder, &words, &function, &configuration] {
            fs::create_dir(folder)?;
        }
        let (vendor, product) = IDS.split_once(':').expect("two numbers");
        for (name, number) in [("idVendor", vendor), ("idProduct", product)] {
            fs::write(self.folder.join(name), format!("0x{number}"))?;
        }
        for (name, text) in [
            ("serialnumber", serial),
            ("manufacturer", MAKER),
            ("product", PRODUCT),
        ] {
            fs::write(words.join(name), text)?;
        }
        symlink(&function, configuration.join("function"))
    }

    /// Its words in English, what it does, and the configuration that it does that in.
    fn parts(&self) -> [PathBuf; 3] {
        ["strings/0x409", "functions/acm.0", "configs/c.1"].map(|part| self.folder.join(part))
    }

    #[track_caller]
    pub(crate) fn plug_in(&self) {
        self.bind(&self.controller).expect("it can be plugged in");
    }

    #[track_caller]
    pub(crate) fn unplug(&self) {
        self.bind("\n").expect("it can be unplugged");
    }

    fn bind(&self, controller: &str) -> std::io::Result<()> {
        fs::write(self.folder.join("UDC"), controller)
    }

    /// What is connected to the adapter, raw.
    #[track_caller]
    pub(crate) fn far(&self) -> Handle {
        let function = &self.parts()[1];
        let number = fs::read_to_string(function.join("port_num")).expect("its number");
        let path = PathBuf::from(format!("/dev/ttyGS{}", number.trim()));
        let far = open(&path);
        stty(self.case, &path, &["raw", "-echo"]);
        far
    }
}

impl Drop for Gadget<'_> {
    fn drop(&mut self) {
        let _unplugged = self.bind("\n");
        let [words, function, configuration] = self.parts();
        let _gone = fs::remove_file(configuration.join("function"));
        for folder in [&configuration, &function, &words, &self.folder] {
            let _gone = fs::remove_dir(folder);
        }
    }
}
