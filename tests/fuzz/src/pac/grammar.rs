//! Changes that an author could make: another call, another rule, another way out.

use super::{kind, tame};
use crate::pieces;

/// What a function takes.
#[derive(Clone, Copy)]
enum Kind {
    Host,
    Pattern,
    Network,
    Mask,
    Prefix,
    List,
    Weekday,
    Month,
    Number,
    Clock,
}

/// What the functions take, in their order.
const TAKES: [&[Kind]; tame::FUNCTIONS.len()] = {
    use Kind::{Clock, Host, List, Mask, Month, Network, Number, Pattern, Prefix, Weekday};
    [
        &[Host],
        &[Host, Host],
        &[Host, Host],
        &[Host],
        &[Host, Pattern],
        &[Host],
        &[Host],
        &[Host, Network, Mask],
        &[],
        &[Host],
        &[Host],
        &[],
        &[Network, Prefix],
        &[List],
        &[Network],
        &[],
        &[Weekday, Weekday, Clock],
        &[Number, Month, Number, Month, Clock],
        &[Number, Number, Number, Number, Number, Number, Clock],
        &[Host],
    ]
};

impl Kind {
    fn words(self) -> &'static [&'static str] {
        match self {
            Kind::Host => &[
                "www.example.test",
                ".example.test",
                "www",
                "later.test",
                "nowhere.test",
                "six.test",
                "both.test.",
                "10.1.2.3",
                "010.001.2.3",
                "::1",
                "http://www.example.test:8080/a/b?c=d",
            ],
            Kind::Pattern => &[
                "*",
                "*.example.test",
                "http:*",
                "w?w*",
                "*/a/*",
                "(www|ftp).*",
                "[a-z]+.test",
                "^w{3}",
                "(",
            ],
            Kind::Network => &[
                "10.1.2.0",
                "0.0.0.0",
                "192.0.2.255",
                "256.0.0.1",
                "2001:db8::5",
            ],
            Kind::Mask => &[
                "255.255.255.0",
                "255.0.255.0",
                "0.0.0.0",
                "255.255.255.255",
                "/24",
            ],
            Kind::Prefix => &["10.0.0.0/8", "2001:db8::/32", "::/0", "::/129", "10.0.0.0/"],
            Kind::List => &[
                "::1;10.0.0.1",
                "10.0.0.2; 10.0.0.1 ;2001:db8::1",
                "10.0.0.1;",
            ],
            Kind::Weekday => &["SUN", "MON", "WED", "SAT", "sun"],
            Kind::Month => &["JAN", "FEB", "JUN", "DEC", "13"],
            Kind::Number => &["0", "1", "9", "12", "23", "31", "59", "60", "2026", "-1"],
            Kind::Clock => &["GMT", "UTC"],
        }
    }
}

const ANSWERS: [&str; 9] = [
    "DIRECT",
    "PROXY proxy.test:8080",
    "PROXY proxy.test:8080; DIRECT",
    "HTTPS proxy.test",
    "SOCKS5 [2001:db8::1]:1080",
    "SOCKS 010.1.2.3:65535",
    "socks4\tproxy.test.:0",
    "PROXY a b; ;; DIRECT x",
    "",
];

/// Numbers of a sequence (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap_or_default();
        mixed % count
    }

    fn one<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
}

/// Changes an input as [`pieces::mutate`] does or, one time in four, puts a string of
/// the grammar into it or in another's place.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    seed: u32,
    mutate: impl Fn(&mut [u8], usize) -> usize,
) -> usize {
    let size = size.min(data.len());
    let mut dice = Dice(seed.into());
    let first = pieces::split(&data[..size]).first().copied();
    let kind = first.and_then(|it| it.first()).copied();
    let (Some(kind), 0) = (kind, dice.below(4)) else {
        return pieces::mutate(data, size, seed, mutate);
    };
    let fresh = match kind % kind::COUNT {
        kind::ANSWER => answer(&mut dice).into_bytes(),
        kind::CALLS => call(&mut dice),
        _ => statement(&mut dice).into_bytes(),
    };
    pieces::edit(data, size, |pieces| {
        let at = 1 + dice.below(pieces.len());
        match pieces.get_mut(at) {
            Some(piece) if dice.below(2) == 0 => *piece = fresh,
            _ => pieces.insert(at, fresh),
        }
    })
}

fn answer(dice: &mut Dice) -> String {
    format!("{}; {}", dice.one(&ANSWERS), dice.one(&ANSWERS))
}

/// A function's number and words of the kinds that it takes, as far as the dice say.
fn words(dice: &mut Dice) -> (usize, Vec<&'static str>) {
    let function = dice.below(TAKES.len());
    let takes = TAKES[function];
    // All of them more often than not.
    let count = takes.len() - (dice.below(3) / 2 * dice.below(takes.len() + 1));
    let words = takes[..count].iter().map(|it| dice.one(it.words()));
    (function, words.collect())
}

fn call(dice: &mut Dice) -> Vec<u8> {
    let (function, words) = words(dice);
    let function = u8::try_from(function).unwrap_or_default();
    [&[function], words.join("\0").as_bytes()].concat()
}

fn expression(dice: &mut Dice) -> String {
    let (function, words) = words(dice);
    let word = |it: &&str| match *it {
        "www.example.test" => "host".to_owned(),
        it if it.contains("://") => "url".to_owned(),
        it => format!("'{it}'"),
    };
    let words: Vec<String> = words.iter().map(word).collect();
    format!("{}({})", tame::FUNCTIONS[function], words.join(", "))
}

fn statement(dice: &mut Dice) -> String {
    let (call, way) = (expression(dice), dice.one(&ANSWERS));
    match dice.below(7) {
        0 => format!("x = {call};"),
        1 => format!("alert({call});"),
        2 => format!("if (!{call}) return '{way}';"),
        3 => format!("if ({call} && {}) return '{way}';", expression(dice)),
        4 => format!("else if ({call}) {{ return '{way}' }}"),
        5 => format!("return {call} ? '{way}' : '{}';", dice.one(&ANSWERS)),
        _ => format!("if ({call}) return '{way}';"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing that is made is left out for what it may cost.
    #[test]
    fn statements_are_tame() {
        for seed in 0..2000 {
            let statement = statement(&mut Dice(seed));
            assert!(tame::is_tame(&statement), "{statement}");
        }
    }

    #[test]
    fn what_is_made_comes_into_the_input() {
        let input = pieces::join(&[&[kind::SCRIPT][..], b"x"]);
        let made = (0..100).filter(|seed| {
            let mut data = [&input[..], &[0; 1024]].concat();
            let length = mutate(&mut data, input.len(), *seed, |_, size| size);
            let pieces = pieces::split(&data[..length]);
            pieces.len() > 1 && pieces[0] == [kind::SCRIPT] && pieces[1..] != [&b"x"[..]]
        });
        assert!(made.count() > 10);
    }
}
