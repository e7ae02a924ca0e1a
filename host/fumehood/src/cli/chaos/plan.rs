//! What is transferred: drawn from a seed, so that a run can be had again.

/// Largest content, in bytes: long enough to be under way when something happens.
const MAX_BYTES: u64 = 4 << 20;

/// Largest content that is sent and comes back, in bytes. Above 64 KiB it is
/// streamed, below it is kept for a second try: both are to happen.
const MAX_ECHO_BYTES: u64 = 256 << 10;

/// Least content of a response that traps late, in bytes: so many that its
/// framing has enough pieces.
const MIN_LATE_BYTES: u64 = 4 << 10;

/// How the end of content is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// A content-length.
    Length,
    Chunked,
    /// The connection's end.
    UntilClose,
    /// The request's content comes back, with a content-length.
    Echo,
}

/// When a poisoned response traps the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Poison {
    /// At its head.
    Head,
    /// In the middle of a chunked body.
    Late,
}

/// One transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) https: bool,
    pub(super) framing: Framing,
    pub(super) bytes: u64,
    /// Where in the repeating content it begins, so that no two transfers
    /// are likely to have the same.
    pub(super) offset: u64,
    pub(super) poison: Option<Poison>,
}

impl Framing {
    const ALL: [Framing; 4] = [
        Framing::Length,
        Framing::Chunked,
        Framing::UntilClose,
        Framing::Echo,
    ];

    /// As it stands in a path.
    pub(super) fn name(self) -> &'static str {
        match self {
            Framing::Length => "length",
            Framing::Chunked => "chunked",
            Framing::UntilClose => "until-close",
            Framing::Echo => "echo",
        }
    }
}

impl Poison {
    /// What the faulty guest obeys.
    pub(super) fn field(self) -> &'static str {
        match self {
            Poison::Head => "trap",
            Poison::Late => "later",
        }
    }
}

impl Item {
    /// What is asked for. Without `poison` the same comes unpoisoned.
    pub(super) fn path(&self, poison: bool) -> String {
        let poison = self.poison.filter(|_| poison);
        format!(
            "/{}/{}/{}/{}",
            self.framing.name(),
            self.bytes,
            self.offset,
            poison.map_or("none", Poison::field)
        )
    }

    /// What a server reads out of a path.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix('/')?.split('/');
        let framing = parts.next()?;
        let framing = Framing::ALL.into_iter().find(|it| it.name() == framing)?;
        let (bytes, offset) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let poison = parts.next()?;
        let poison = [Poison::Head, Poison::Late]
            .into_iter()
            .find(|it| it.field() == poison);
        Some(Item {
            https: false,
            framing,
            bytes,
            offset,
            poison,
        })
    }
}

/// So many transfers; in each group of `one_in` one is poisoned, none where it is 0.
pub(super) fn draw(transfers: usize, one_in: usize, seed: u64) -> Vec<Item> {
    let mut dice = Dice(seed);
    let mut items: Vec<Item> = (0..transfers).map(|_| dice.item()).collect();
    if one_in > 0 {
        for group in items.chunks_mut(one_in) {
            let index = usize::try_from(dice.below(one_in as u64)).unwrap_or_default();
            if let Some(item) = group.get_mut(index) {
                dice.poison(item);
            }
        }
    }
    items
}

/// SplitMix64: small, and good enough to be told apart from order.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn item(&mut self) -> Item {
        let framing = Framing::ALL[usize::try_from(self.below(4)).unwrap_or_default()];
        let most = match self.below(100) {
            0..30 => 1 << 10,
            30..80 => 64 << 10,
            80..98 => 512 << 10,
            _ => MAX_BYTES,
        };
        let bytes = self.below(most + 1);
        Item {
            https: self.below(2) == 0,
            framing,
            bytes: match framing {
                Framing::Echo => bytes.min(MAX_ECHO_BYTES),
                _ => bytes,
            },
            offset: self.below(1 << 32),
            poison: None,
        }
    }

    fn poison(&mut self, item: &mut Item) {
        if self.below(2) == 0 {
            item.poison = Some(Poison::Head);
        } else {
            item.poison = Some(Poison::Late);
            item.framing = Framing::Chunked;
            item.bytes = item.bytes.max(MIN_LATE_BYTES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_all() {
        assert_eq!(draw(100, 10, 7), draw(100, 10, 7));
        assert_ne!(draw(100, 10, 7), draw(100, 10, 8));
    }

    #[test]
    fn one_in_so_many_is_poisoned() {
        let poisoned = |items: &[Item]| items.iter().filter(|it| it.poison.is_some()).count();
        assert_eq!(poisoned(&draw(1000, 10, 1)), 100);
        assert_eq!(poisoned(&draw(1000, 1, 1)), 1000);
        assert_eq!(poisoned(&draw(1000, 0, 1)), 0);
        for group in draw(1000, 10, 3).chunks(10) {
            assert_eq!(poisoned(group), 1);
        }
    }

    #[test]
    fn there_is_some_of_everything() {
        let items = draw(1000, 10, 1);
        for framing in Framing::ALL {
            let of_it = |https| {
                let fits = |it: &&Item| it.framing == framing && it.https == https;
                items.iter().filter(fits).count()
            };
            assert!(of_it(true) > 50 && of_it(false) > 50, "{framing:?}");
        }
        for poison in [Poison::Head, Poison::Late] {
            let of_it = items.iter().filter(|it| it.poison == Some(poison)).count();
            assert!(of_it > 20, "{poison:?}");
        }
    }

    #[test]
    fn a_path_says_what_it_is() {
        for item in draw(200, 2, 5) {
            let read = Item::of_path(&item.path(true)).map(|it| Item {
                https: item.https,
                ..it
            });
            assert_eq!(read, Some(item));
            let clean = Item::of_path(&item.path(false));
            assert!(clean.is_some_and(|it| it.poison.is_none() && it.bytes == item.bytes));
        }
        for odd in ["", "/", "/length", "/length/x/0/none", "/up/1/2/none"] {
            assert_eq!(Item::of_path(odd), None, "{odd}");
        }
    }
}
