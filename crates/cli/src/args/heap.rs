//! The command line of `deadweight heap`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

const NOTES: &str = "\
Without --type, --holders, --path or --cycles: an overview. A type is named with or without its module.
Pictures (dot, svg) show what was asked for; heapsnapshot is the whole snapshot for Chrome DevTools and MemLab.";

/// `deadweight heap`.
#[derive(Args, Debug)]
#[command(after_help = NOTES)]
pub struct HeapArgs {
    /// The capture: the folder that `deadweight run` made
    pub capture: PathBuf,

    /// Which snapshot: the one that stands for the peak in the findings, the last one, or one by its number
    #[arg(long, value_name = "peak|end|N", default_value = "peak", value_parser = parse_at)]
    pub at: At,

    /// Of which process [default: the one with most memory at the peak]
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,

    /// The objects of a type: who holds them, what they keep, the heaviest ones
    #[arg(long = "type", value_name = "TYPE", group = "question")]
    pub type_name: Option<String>,

    /// Who holds the objects of a type: the ways to them from the roots
    #[arg(long, value_name = "TYPE", group = "question")]
    pub holders: Option<String>,

    /// The object at an address (0x7f…), or with a number of DevTools (@1234): the way to it, its references
    #[arg(long, value_name = "ADDRESS", group = "question", value_parser = parse_place)]
    pub path: Option<Place>,

    /// Cycles of unreachable objects, one for each kind
    #[arg(long, group = "question")]
    pub cycles: bool,

    /// Longest list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = super::parse_top)]
    pub top: usize,

    /// How to show it
    #[arg(long, value_enum, default_value_t = HeapFormat::Text)]
    pub format: HeapFormat,

    /// File to write to instead of standard output; it must not exist yet
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Overwrite the file given with --output
    #[arg(long, requires = "output")]
    pub force: bool,
}

/// The views of a heap snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum HeapFormat {
    /// For reading in the terminal
    Text,
    /// All figures, for programs
    Json,
    /// A picture for Graphviz
    Dot,
    /// A picture
    Svg,
    /// The whole graph for Chrome DevTools and MemLab
    Heapsnapshot,
}

/// Which snapshot is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum At {
    /// The one that stands for the peak in the findings: mostly the last one before it.
    Peak,
    /// The last one.
    End,
    /// The one with this number.
    Number(u32),
}

/// What `--path` leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// An object at an address.
    Address(u64),
    /// An object with this number in DevTools.
    Number(u64),
}

fn parse_at(text: &str) -> Result<At, String> {
    match text {
        "peak" => Ok(At::Peak),
        "end" => Ok(At::End),
        number => number
            .parse()
            .map(At::Number)
            .map_err(|_| "write peak, end, or the number of a snapshot".to_owned()),
    }
}

fn parse_place(text: &str) -> Result<Place, String> {
    let wrong = || "write an address (0x7f12a0) or a number of DevTools (@1234)".to_owned();
    if let Some(number) = text.strip_prefix('@') {
        return number.parse().map(Place::Number).map_err(|_| wrong());
    }
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let address = match digits {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    address.map(Place::Address).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_given_by_address_or_number() {
        assert_eq!(parse_place("0x7F10"), Ok(Place::Address(0x7f10)));
        assert_eq!(parse_place("4096"), Ok(Place::Address(4096)));
        assert_eq!(parse_place("@13"), Ok(Place::Number(13)));
        for wrong in ["", "@", "0x", "7f10", "-1", "0x1ffffffffffffffff"] {
            assert!(parse_place(wrong).is_err(), "{wrong}");
        }
        assert_eq!((parse_at("end"), parse_at("3")), (Ok(At::End), Ok(At::Number(3))));
        assert!(parse_at("top").is_err() && super::super::parse_top("0").is_err());
    }
}
