//! Walks a script: what it defines, calls and says.

use std::collections::HashSet;
use std::ops::ControlFlow;

use boa_ast::declaration::Binding;
use boa_ast::expression::literal::{Literal, LiteralKind};
use boa_ast::expression::operator::assign::{Assign, AssignTarget};
use boa_ast::expression::{Call, Expression, Identifier};
use boa_ast::function::{FunctionDeclaration, FunctionExpression};
use boa_ast::visitor::{VisitWith, Visitor};
use boa_ast::{Script, Spanned};
use boa_interner::{Interner, Sym};

use super::calls::{self, Argument};
use super::{Remark, Rule};
use crate::builtins::all_names;
use crate::{Answer, Proxy};

/// Functions of JavaScript that are called by their bare name.
const LANGUAGE: [&str; 22] = [
    "Array",
    "BigInt",
    "Boolean",
    "Date",
    "Error",
    "Function",
    "Number",
    "Object",
    "RegExp",
    "String",
    "Symbol",
    "TypeError",
    "RangeError",
    "decodeURI",
    "decodeURIComponent",
    "encodeURI",
    "encodeURIComponent",
    "escape",
    "eval",
    "isFinite",
    "isNaN",
    "unescape",
];

const ENTRY_POINTS: [&str; 2] = ["FindProxyForURL", "FindProxyForURLEx"];

/// All that is to be said of a script that parses.
pub(super) fn scan(script: &Script, interner: &Interner) -> Vec<Remark> {
    let mut walker = Walker {
        interner,
        defined: HashSet::new(),
        called: Vec::new(),
        found: Vec::new(),
    };
    // Nothing in the walk breaks off.
    let _ = walker.visit_script(script);
    walker.finish()
}

struct Walker<'a> {
    interner: &'a Interner,
    defined: HashSet<Sym>,
    called: Vec<(Sym, (u32, u32))>,
    found: Vec<Remark>,
}

impl Walker<'_> {
    fn name(&self, sym: Sym) -> String {
        self.interner.resolve_expect(sym).to_string()
    }

    fn finish(mut self) -> Vec<Remark> {
        let defined: HashSet<String> = self.defined.iter().map(|sym| self.name(*sym)).collect();
        if !ENTRY_POINTS.iter().any(|name| defined.contains(*name)) {
            let message = "it defines no FindProxyForURL(url, host): nothing could be asked of it";
            self.found
                .push(Remark::new(Rule::NoFunction, None, message));
        }
        for (sym, position) in std::mem::take(&mut self.called) {
            let name = self.name(sym);
            let known = defined.contains(&name)
                || LANGUAGE.contains(&name.as_str())
                || ["parseInt", "parseFloat"].contains(&name.as_str())
                || all_names().any(|built_in| built_in == name);
            if !known {
                let message = format!("{name} is called but defined nowhere; {}", near(&name));
                self.found
                    .push(Remark::new(Rule::UnknownFunction, Some(position), &message));
            }
        }
        self.found
    }

    fn argument(&self, expression: &Expression) -> Argument {
        let Expression::Literal(literal) = expression else {
            return Argument::Other;
        };
        match literal.kind() {
            LiteralKind::String(sym) => Argument::Text(self.name(*sym)),
            LiteralKind::Int(number) => Argument::Number(i64::from(*number)),
            _ => Argument::Other,
        }
    }
}

/// Which built-in function may have been meant.
fn near(name: &str) -> String {
    let same = |built_in: &&str| built_in.eq_ignore_ascii_case(name);
    match all_names().find(same) {
        Some(built_in) => format!("{built_in} is written so"),
        None => "the call will throw".to_owned(),
    }
}

impl<'ast> Visitor<'ast> for Walker<'_> {
    type BreakTy = ();

    fn visit_function_declaration(&mut self, node: &'ast FunctionDeclaration) -> ControlFlow<()> {
        self.defined.insert(node.name().sym());
        node.visit_with(self)
    }

    fn visit_function_expression(&mut self, node: &'ast FunctionExpression) -> ControlFlow<()> {
        self.defined.extend(node.name().map(Identifier::sym));
        node.visit_with(self)
    }

    fn visit_binding(&mut self, node: &'ast Binding) -> ControlFlow<()> {
        if let Binding::Identifier(identifier) = node {
            self.defined.insert(identifier.sym());
        }
        node.visit_with(self)
    }

    fn visit_assign(&mut self, node: &'ast Assign) -> ControlFlow<()> {
        if let AssignTarget::Identifier(identifier) = node.lhs() {
            self.defined.insert(identifier.sym());
        }
        node.visit_with(self)
    }

    fn visit_call(&mut self, node: &'ast Call) -> ControlFlow<()> {
        if let Expression::Identifier(identifier) = node.function() {
            let start = identifier.span().start();
            let position = (start.line_number(), start.column_number());
            self.called.push((identifier.sym(), position));
            let arguments: Vec<Argument> = node.args().iter().map(|a| self.argument(a)).collect();
            let name = self.name(identifier.sym());
            for (rule, message) in calls::check(&name, &arguments) {
                self.found.push(Remark::new(rule, Some(position), &message));
            }
        }
        node.visit_with(self)
    }

    fn visit_literal(&mut self, node: &'ast Literal) -> ControlFlow<()> {
        if let Some(sym) = node.as_string() {
            let text = self.name(sym);
            let start = node.span().start();
            let position = Some((start.line_number(), start.column_number()));
            for (rule, message) in answer(&text) {
                self.found.push(Remark::new(rule, position, &message));
            }
        }
        ControlFlow::Continue(())
    }
}

/// What is wrong with a text, if it looks like an answer: its first entry is one,
/// or begins with a kind of proxy.
fn answer(text: &str) -> Vec<(Rule, String)> {
    const KINDS: [&str; 7] = [
        "PROXY ", "HTTP ", "HTTPS ", "SOCKS ", "SOCKS4 ", "SOCKS5 ", "QUIC ",
    ];
    let upper = text.trim_start().to_ascii_uppercase();
    let looks_like_one = KINDS.iter().any(|kind| upper.starts_with(kind));
    // `'PROXY ' + host` is put together later.
    if !looks_like_one || text.ends_with([' ', ':']) {
        return Vec::new();
    }
    let parsed = Answer::parse(text);
    let mut found: Vec<(Rule, String)> = parsed
        .skipped
        .iter()
        .map(|entry| {
            let message = format!("`{entry}` names no proxy: write KIND host:port");
            (Rule::Answer, message)
        })
        .collect();
    let bare = |entry: &str| {
        entry
            .trim_start()
            .to_ascii_uppercase()
            .starts_with("SOCKS ")
    };
    if parsed.proxies.iter().any(|p| matches!(p, Proxy::Socks4(_))) && text.split(';').any(bare) {
        let message =
            "SOCKS means version 4, which takes no names: write SOCKS5 where that is meant";
        found.push((Rule::SocksVersion, message.to_owned()));
    }
    found
}
