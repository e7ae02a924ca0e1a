//! A heap that is there from the start: a guest that has it need not grow its memory.
//!
//! A Rust guest's allocator takes its first page by `memory.grow`. That is two
//! system calls for each instance's life, a large part of what a small one costs.
//! So a core module that is wrapped gets that much more initial memory, and its
//! `memory.grow` becomes a call of a function that gives this out first:
//!
//! ```text
//! grow(delta) = if delta > memory.size - end: memory.grow by what is missing, or -1
//!               old = end; end += delta; old
//! ```
//!
//! To the guest nothing differs but `memory.size`, which no allocator asks.

use wasm_encoder::reencode::{Reencode, utils};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, Function, FunctionSection, GlobalSection, GlobalType,
    Instruction, MemoryType, Module, TypeSection, ValType,
};
use wasmparser::{Operator, Parser, Payload, TypeRef};

/// What is added to a guest's initial memory, in pages of 64 KiB: what a TLS
/// handshake takes. Pages that are never touched cost nothing.
pub(crate) const HEAP_PAGES: u64 = 4;

type Error = wasm_encoder::reencode::Error;
type Result<T> = std::result::Result<T, Error>;

/// The module with its heap. One that has no memory of its own to grow, or none
/// of the sections that are added to, is returned as it is.
///
/// # Errors
/// When it does not parse.
pub(crate) fn with_heap(module: &[u8]) -> Result<Vec<u8>> {
    let counts = Counts::of(module)?;
    let Some(initial) = counts.memory.filter(|_| counts.can_be_added_to()) else {
        return Ok(module.to_vec());
    };
    let mut grown = Module::new();
    let mut roomy = Roomy { counts, initial };
    roomy.parse_core_module(&mut grown, Parser::new(0), module)?;
    Ok(grown.finish())
}

/// How many of each there are: the number of the next.
#[derive(Default)]
struct Counts {
    types: u32,
    functions: u32,
    globals: u32,
    own_globals: bool,
    /// Initial pages of the one memory that it defines.
    memory: Option<u64>,
}

impl Counts {
    fn of(module: &[u8]) -> Result<Counts> {
        let mut counts = Counts::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TypeSection(types) => {
                    for group in types {
                        let types = group?.types().len();
                        counts.types += u32::try_from(types).unwrap_or(u32::MAX);
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        match import?.ty {
                            TypeRef::Func(_) => counts.functions += 1,
                            TypeRef::Global(_) => counts.globals += 1,
                            _ => {}
                        }
                    }
                }
                Payload::FunctionSection(functions) => counts.functions += functions.count(),
                Payload::GlobalSection(globals) => {
                    counts.globals += globals.count();
                    counts.own_globals = true;
                }
                Payload::MemorySection(memories) => {
                    for memory in memories {
                        let memory = memory?;
                        let roomy = memory.initial + HEAP_PAGES;
                        let fits = memory.maximum.is_none_or(|most| roomy <= most);
                        counts.memory = (fits && !memory.memory64).then_some(memory.initial);
                    }
                }
                _ => {}
            }
        }
        Ok(counts)
    }

    fn can_be_added_to(&self) -> bool {
        self.own_globals && self.types > 0 && self.functions > 0
    }
}

/// Writes the module anew, with one more type, function and global at the ends.
struct Roomy {
    counts: Counts,
    /// Pages before: where the heap begins.
    initial: u64,
}

impl Reencode for Roomy {
    type Error = std::convert::Infallible;

    fn memory_type(&mut self, memory: wasmparser::MemoryType) -> Result<MemoryType> {
        let mut memory = utils::memory_type(self, memory);
        memory.minimum += HEAP_PAGES;
        Ok(memory)
    }

    fn instruction<'a>(&mut self, operator: Operator<'a>) -> Result<Instruction<'a>> {
        match operator {
            Operator::MemoryGrow { .. } => Ok(Instruction::Call(self.counts.functions)),
            other => utils::instruction(self, other),
        }
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Result<()> {
        utils::parse_type_section(self, types, section)?;
        types.ty().function([ValType::I32], [ValType::I32]);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<()> {
        utils::parse_function_section(self, functions, section)?;
        functions.function(self.counts.types);
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Result<()> {
        utils::parse_global_section(self, globals, section)?;
        let end = GlobalType {
            val_type: ValType::I32,
            mutable: true,
            shared: false,
        };
        let initial = i32::try_from(self.initial).unwrap_or(i32::MAX);
        globals.global(end, &ConstExpr::i32_const(initial));
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result<()> {
        utils::parse_code_section(self, code, section)?;
        code.function(&grow(self.counts.globals));
        Ok(())
    }
}

/// The function of this file's head; `end` is the number of its global.
fn grow(end: u32) -> Function {
    const DELTA: u32 = 0;
    const ROOM: u32 = 1;
    let mut function = Function::new([(1, ValType::I32)]);
    function
        .instructions()
        .local_get(DELTA)
        .memory_size(0)
        .global_get(end)
        .i32_sub()
        .local_tee(ROOM)
        .i32_gt_u()
        .if_(BlockType::Empty)
        .local_get(DELTA)
        .local_get(ROOM)
        .i32_sub()
        .memory_grow(0)
        .i32_const(-1)
        .i32_eq()
        .if_(BlockType::Empty)
        .i32_const(-1)
        .return_()
        .end()
        .end()
        .global_get(end)
        .global_get(end)
        .local_get(DELTA)
        .i32_add()
        .global_set(end)
        .end();
    function
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use wasm_encoder::{ExportKind, ExportSection, MemorySection};
    use wasmtime::{Engine, Instance, Store};

    use super::*;

    /// A module whose export `grow` is `memory.grow` on a memory of `initial`
    /// to `most` pages.
    fn module(initial: u64, most: Option<u64>) -> Vec<u8> {
        let (mut types, mut functions) = (TypeSection::new(), FunctionSection::new());
        types.ty().function([ValType::I32], [ValType::I32]);
        functions.function(0);
        let mut memories = MemorySection::new();
        memories.memory(MemoryType {
            minimum: initial,
            maximum: most,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut globals = GlobalSection::new();
        let stack = GlobalType {
            val_type: ValType::I32,
            mutable: true,
            shared: false,
        };
        globals.global(stack, &ConstExpr::i32_const(7));
        let mut exports = ExportSection::new();
        exports.export("grow", ExportKind::Func, 0);
        exports.export("memory", ExportKind::Memory, 0);
        let mut code = CodeSection::new();
        let mut body = Function::new([]);
        body.instructions().local_get(0).memory_grow(0).end();
        code.function(&body);
        let mut module = Module::new();
        module
            .section(&types)
            .section(&functions)
            .section(&memories)
            .section(&globals)
            .section(&exports)
            .section(&code);
        module.finish()
    }

    /// What a guest gets that asks for so many pages, one after the other, and
    /// the pages that there are at the end.
    fn grown(module: &[u8], deltas: &[i32]) -> (Vec<i32>, u64) {
        let engine = Engine::default();
        let module = wasmtime::Module::new(&engine, module).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let grow = instance
            .get_typed_func::<i32, i32>(&mut store, "grow")
            .unwrap();
        let got = deltas
            .iter()
            .map(|delta| grow.call(&mut store, *delta).unwrap())
            .collect();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        (got, memory.size(&store))
    }

    #[test]
    fn a_guest_gets_the_same_pages_with_and_without() {
        for deltas in [
            &[0, 1, 1, 0, 1, 1, 1, 2][..],
            &[5, 1],
            &[2, 3],
            &[4, 1],
            &[1, -1, 1],
            &[3, 18, 1, 17, 1],
        ] {
            let plain = module(2, Some(20));
            let (expected, _) = grown(&plain, deltas);
            let (got, _) = grown(&with_heap(&plain).unwrap(), deltas);
            assert_eq!(got, expected, "{deltas:?}");
        }
    }

    #[test]
    fn memory_grows_only_past_the_heap() {
        let roomy = with_heap(&module(2, None)).unwrap();
        assert_eq!(grown(&roomy, &[1, 2]), (vec![2, 3], 2 + HEAP_PAGES));
        assert_eq!(grown(&roomy, &[3, 2]), (vec![2, 5], 7));
    }

    #[test]
    fn what_has_no_room_stays_as_it_is() {
        let tight = module(2, Some(2 + HEAP_PAGES - 1));
        assert_eq!(with_heap(&tight).unwrap(), tight);
        let empty = Module::new().finish();
        assert_eq!(with_heap(&empty).unwrap(), empty);
        assert!(with_heap(b"no module").is_err());
    }
}
