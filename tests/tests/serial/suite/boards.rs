//! Programs that write to the chips of boards, and reset them by the modem lines first.

use std::fs;
use std::path::PathBuf;

use crate::board::{ADDRESS, Avr, Board, Esp, connect};
use crate::helper::{has_program, open, proxy, proxy_at, run};
use fusd_tests::packages::unpacked;
use fusd_tests::wait::Started;
use fusd_tests::{Backend, Case, Driver};

/// A port with a board at it, and the proxy of that port.
struct Bench<B> {
    /// The port is one side of a null modem, and the board is connected to the other.
    modem: Driver,
    log: PathBuf,
    board: Started<B>,
    proxy: Driver,
}

impl<B: Board> Bench<B> {
    #[track_caller]
    fn new(case: &Case, board: B) -> Self {
        let (port, log) = (case.node("port"), case.directory().join("log"));
        let modem = proxy_at(case, "board", "pair", [&port]);
        let modem = modem.arg("--log").arg(&log).start();
        Self {
            board: connect(open(modem.node()), board),
            proxy: proxy(case, &port, [""; 0]).start(),
            modem,
            log,
        }
    }

    /// The board, and what it has seen.
    #[track_caller]
    fn end(self) -> (B, Lines) {
        self.proxy.stop();
        self.modem.stop();
        let log = fs::read_to_string(&self.log).expect("the log");
        (self.board.wait(), Lines::of(&log))
    }
}

/// The modem lines as they arrived at a board: DTR and RTS of the other side, one state after the other.
struct Lines {
    /// Those before the first byte.
    early: Vec<(char, char)>,
    all: Vec<(char, char)>,
}

impl Lines {
    fn of(log: &str) -> Self {
        let mut all = Vec::new();
        let mut early = None;
        // After the time.
        let events = log.lines().filter_map(|line| Some(line.split_once(' ')?.1));
        for event in events.filter_map(|event| event.strip_prefix("< ")) {
            let words = event.split_whitespace().collect::<Vec<_>>();
            let state = |word: &str, name| word.strip_prefix(name)?.chars().next();
            match words[..] {
                [rts, dtr, ..] if rts.starts_with("cts=") => {
                    let state = state(dtr, "dsr=").zip(state(rts, "cts="));
                    all.push(state.expect("the states of both"));
                }
                _ => drop(early.get_or_insert_with(|| all.clone())),
            }
        }
        let early = early.unwrap_or_default();
        Self { early, all }
    }
}

/// Whether the modem lines lead to the board: not those of pseudo-terminals.
fn has_lines(case: &Case) -> bool {
    case.backend() != Backend::Fuse
}

pub(crate) fn an_arduino_is_programmed(case: &Case) {
    if !has_program(case, "avrdude") {
        return;
    }
    let bench = Bench::new(case, Avr::default());
    // More than a page, and no whole number of them.
    let image: Vec<u8> = (0..1000_u32).map(|place| (place * 7 % 251) as u8).collect();
    let file = case.file("image", &image);
    let mut avrdude = case.command("avrdude");
    avrdude.args(["-c", "arduino", "-p", "m328p", "-b", "57600", "-D"]);
    // It is written, read again and compared.
    let what = format!("flash:w:{}:r", file.display());
    run(avrdude.args(["-U", &what, "-P"]).arg(bench.proxy.node()));
    let (board, lines) = bench.end();
    assert_eq!(board.flash[..1000], image);
    if has_lines(case) {
        // The open raises both; both low unload the capacitor at the reset pin, both high pull that.
        let reset = [('1', '1'), ('0', '0'), ('1', '1')];
        assert!(lines.early.starts_with(&reset), "{:?}", lines.early);
    }
}

pub(crate) fn an_esp_is_asked(case: &Case) {
    if !has_program(case, "python3") {
        return;
    }
    let sources = ["esptool", "pyserial"].map(|package| unpacked(case, package));
    let [Some(tool), Some(library)] = sources else {
        return;
    };
    let bench = Bench::new(case, Esp::default());
    let mut esptool = case.command("python3");
    esptool.env("PYTHONPATH", library);
    // The folders are the user's.
    esptool.arg("-B").arg(tool.join("esptool.py"));
    // Until it has an answer, however slow this machine is.
    esptool.args(["--chip", "esp8266", "--no-stub", "--connect-attempts", "0"]);
    if !has_lines(case) {
        esptool.args(["--before", "no_reset", "--after", "no_reset"]);
    }
    let said = run(esptool
        .arg("--port")
        .arg(bench.proxy.node())
        .arg("read_mac"));
    assert!(said.contains(ADDRESS), "{said}");
    let (_, Lines { early, all }) = bench.end();
    if has_lines(case) {
        // RTS alone holds the chip in reset, DTR alone has it begin with the loader. Before its version
        // 4.5 the program changes one line after the other.
        let (both, neither) = (('1', '1'), ('0', '0'));
        let (held, loads) = (('0', '1'), ('1', '0'));
        let at_once = early.starts_with(&[both, neither, both, held, loads, neither]);
        let one_by_one = early.starts_with(&[both, held, both, loads, neither]);
        assert!(at_once || one_by_one, "{early:?}");
        // At the end it starts what the chip is for.
        assert!(all.ends_with(&[held, neither]), "{all:?}");
    }
}
