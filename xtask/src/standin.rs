//! Stands in for `fusd_echo::command` until the crate has it; then this file goes.

use std::path::PathBuf;

use clap::{CommandFactory, Parser, ValueEnum};

/// A device node that says a fixed text
#[derive(Parser)]
#[command(name = "fusd-echo", version)]
struct Args {
    /// The text; several are joined by one space
    text: Vec<String>,

    /// Say what FILE contains ("-": standard input) instead of TEXT
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Do not end the text with a newline
    #[arg(short = 'n')]
    no_newline: bool,

    /// Interpret backslash escapes in TEXT, as echo(1) does
    #[arg(short = 'e')]
    escapes: bool,

    /// Say the text again and again, without end
    #[arg(long)]
    repeat: bool,

    /// Answer each read with one line at most
    #[arg(long)]
    lines: bool,

    /// What a client's write does
    #[arg(short = 'w', long, value_name = "POLICY", default_value = "deny")]
    on_write: OnWrite,

    /// The most that clients may write, in bytes (K, M, G: powers of 1024)
    #[arg(long, value_name = "SIZE", default_value = "1M")]
    max_size: String,

    /// Load FILE again whenever it changes
    #[arg(long)]
    watch: bool,

    /// At each open, run CMD in a shell and say its output
    #[arg(short = 'x', long, value_name = "CMD")]
    exec: Option<String>,

    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, ValueEnum)]
enum OnWrite {
    /// Opening for writing fails with EACCES
    Deny,
    /// Writes succeed and change nothing
    Discard,
    /// The next open reads what the last writer wrote
    Replace,
    /// The next open reads the text and, after it, what was written
    Append,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Common options")]
struct Common {
    /// The name of the node, below /dev as root, else below $XDG_RUNTIME_DIR/fusd
    #[arg(long)]
    name: Option<String>,

    /// The path of the node, instead of a name
    #[arg(short, long, value_name = "PATH")]
    path: Option<PathBuf>,

    /// The permissions of the node, in octal
    #[arg(short, long, default_value = "0600")]
    mode: String,

    /// The owner of the node, by name or uid
    #[arg(short, long, value_name = "USER")]
    owner: Option<String>,

    /// The group of the node, by name or gid
    #[arg(short, long, value_name = "GROUP")]
    group: Option<String>,

    /// What serves the device
    #[arg(short, long, default_value = "auto")]
    backend: Backend,

    /// How many files may be open at once
    #[arg(long, value_name = "N")]
    max_open: Option<u32>,

    /// Write a line to the file descriptor N when the node is there
    #[arg(long, value_name = "N")]
    ready_fd: Option<i32>,

    /// Log more (-v: who opens the device, -vv: every call)
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,

    /// Log errors only
    #[arg(short, long)]
    quiet: bool,

    /// The form of the log
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,

    /// Run COMMAND beside the device and end with its status
    #[arg(last = true, value_names = ["COMMAND", "ARGS"])]
    beside: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Backend {
    /// The first that works
    Auto,
    /// The kernel module
    Kfusd,
    /// The character devices of Linux
    Cuse,
    /// A FUSE mount over one file
    Fuse,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object per line
    Json,
}

pub(crate) fn command() -> clap::Command {
    Args::command()
}
