//! How text is laid out, and how much of each list it has.

/// How text is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Style {
    /// Columns; fewer than 40 are taken as 40.
    pub width: usize,
    /// Whether to use the terminal's colours.
    pub color: bool,
}

/// How much of each list a text has.
pub(super) struct Extent {
    pub(super) sites: usize,
    pub(super) processes: usize,
    pub(super) regions: usize,
    pub(super) warnings: usize,
    pub(super) tables: bool,
}

pub(super) const SHORT: Extent = Extent {
    sites: 5,
    processes: 5,
    regions: 8,
    warnings: 4,
    tables: false,
};

pub(super) const LONG: Extent = Extent {
    sites: 20,
    processes: 50,
    regions: 200,
    warnings: usize::MAX,
    tables: true,
};
