//! The machine: opcodes of protocols 2 to 5 on a stack of values.

use std::collections::HashMap;
use std::sync::Arc;

use super::globals::Global;
use super::input::Input;
use super::value::{Node, Tree, Value};
use super::{Failure, Kind, MAX_BYTES, MAX_VALUES, Result};

/// The state between two opcodes.
pub(super) struct Machine<'a> {
    input: Input<'a>,
    stack: Vec<Value>,
    /// Heights of the stack at its marks.
    marks: Vec<usize>,
    memo: HashMap<usize, Value>,
    pub(super) nodes: Vec<Node>,
    /// Values that may still be made.
    left: usize,
    /// Where the current opcode lies.
    pub(super) at: usize,
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            input: Input::new(&bytes[..bytes.len().min(MAX_BYTES)]),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            nodes: Vec::new(),
            left: MAX_VALUES,
            at: 0,
        }
    }

    /// Runs to the end of the pickle.
    pub(super) fn run(mut self) -> Result<(Tree, usize)> {
        loop {
            self.at = self.input.position();
            if self.at == MAX_BYTES {
                return Err(Failure::unsupported(self.at, "a pickle of more than 64 MiB"));
            }
            let opcode = self.input.u8()? as u8;
            if opcode == b'.' {
                let root = self.pop()?;
                return Ok((Tree { nodes: self.nodes, root }, self.input.position()));
            }
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            0x80 => self.protocol(),
            0x95 => self.input.take(8).map(|_| ()), // FRAME: its length changes nothing
            b'(' => {
                self.spend(1)?;
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.pop().map(|_| ()),
            b'1' => self.pop_to_mark().map(|_| ()),
            b'2' => {
                let top = self.pop()?;
                self.push(top.clone())?;
                self.push(top)
            }
            b'N' | 0x88 | 0x89 | b'K' | b'M' | b'J' | 0x8a | 0x8b | b'G' => self.number(opcode),
            b'U' | b'T' | b'X' | 0x8c | 0x8d | b'C' | b'B' | 0x8e | 0x96 => self.text(opcode),
            b']' | b'}' | b')' | 0x8f | b't' | 0x85..=0x87 | b'l' | b'd' | 0x91 => {
                self.collection(opcode)
            }
            b'a' | b'e' | b's' | b'u' | 0x90 => self.fill(opcode),
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.memory(opcode),
            b'c' | 0x93 => self.global(opcode),
            b'R' | 0x81 | 0x92 => self.call(opcode),
            b'b' => {
                let state = self.pop()?;
                let object = self.pop()?;
                self.build(&object, &state)?;
                self.push(object)
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(&id)?;
                self.push(storage)
            }
            _ => Err(self.unknown(opcode)),
        }
    }

    fn unknown(&self, opcode: u8) -> Failure {
        match opcode {
            b'i' | b'o' | 0x82..=0x84 | b'P' => {
                Failure::unsupported(self.at, format!("an object by opcode {opcode:#04x}"))
            }
            b'I' | b'L' | b'F' | b'S' | b'V' | b'g' | b'p' => {
                Failure::unsupported(self.at, "a pickle of protocol 0")
            }
            _ => Failure::damaged(self.at, format!("there is no opcode {opcode:#04x}")),
        }
    }

    fn protocol(&mut self) -> Result<()> {
        let protocol = self.input.u8()?;
        if protocol > 5 {
            return Err(Failure::unsupported(self.at, format!("protocol {protocol}")));
        }
        Ok(())
    }

    fn number(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::Int(self.input.u8()? as i64),
            b'M' => Value::Int(i64::from(u16::from_le_bytes(self.input.array()?))),
            b'J' => Value::Int(i64::from(i32::from_le_bytes(self.input.array()?))),
            b'G' => Value::Float(f64::from_be_bytes(self.input.array()?)),
            _ => {
                let length = if opcode == 0x8a { self.input.u8()? } else { self.input.u32()? };
                let bytes = self.input.take(length)?;
                long(bytes)
            }
        };
        self.push(value)
    }

    fn text(&mut self, opcode: u8) -> Result<()> {
        let length = match opcode {
            b'U' | 0x8c | b'C' => self.input.u8()?,
            b'T' | b'X' | b'B' => self.input.u32()?,
            _ => self.input.u64()?,
        };
        let value = match opcode {
            b'X' | 0x8c | 0x8d => Value::Text(self.input.text(length)?.into()),
            b'U' | b'T' => {
                // Python 2's `str`: text if it can be, as `torch.load` reads it
                let bytes = self.input.take(length)?;
                match std::str::from_utf8(bytes) {
                    Ok(text) => Value::Text(text.into()),
                    Err(_) => Value::Bytes(bytes.into()),
                }
            }
            _ => Value::Bytes(self.input.take(length)?.into()),
        };
        self.push(value)
    }

    fn collection(&mut self, opcode: u8) -> Result<()> {
        let node = match opcode {
            b']' | b')' | 0x8f => Node::Items(Vec::new()),
            b'}' => Node::Dict(Vec::new()),
            b'd' => Node::Dict(self.pairs()?),
            0x85..=0x87 => {
                let first = self.below(usize::from(opcode - 0x84))?;
                Node::Items(self.stack.split_off(first))
            }
            _ => Node::Items(self.pop_to_mark()?),
        };
        let value = self.add(node)?;
        self.push(value)
    }

    /// Adds to the list or dict below the new items.
    fn fill(&mut self, opcode: u8) -> Result<()> {
        let (mut items, mut entries) = (Vec::new(), Vec::new());
        match opcode {
            b'a' => items.push(self.pop()?),
            b's' => {
                let value = self.pop()?;
                entries.push((self.pop()?, value));
            }
            b'u' => entries = self.pairs()?,
            _ => items = self.pop_to_mark()?,
        }
        let at = self.at;
        let target = self.top()?.clone();
        match (self.node_mut(&target), opcode) {
            (Some(Node::Items(list)), b'a' | b'e' | 0x90) => list.append(&mut items),
            (Some(Node::Dict(dict)), b's' | b'u') => dict.append(&mut entries),
            _ => return Err(Failure::damaged(at, "items are added to what is no list or dict")),
        }
        Ok(())
    }

    fn memory(&mut self, opcode: u8) -> Result<()> {
        let index = match opcode {
            b'q' | b'h' => self.input.u8()?,
            b'r' | b'j' => self.input.u32()?,
            _ => self.memo.len(),
        };
        if matches!(opcode, b'h' | b'j') {
            let Some(value) = self.memo.get(&index).cloned() else {
                return Err(Failure::damaged(self.at, format!("nothing is stored as {index}")));
            };
            return self.push(value);
        }
        self.spend(1)?;
        let value = self.top()?.clone();
        self.memo.insert(index, value);
        Ok(())
    }

    fn global(&mut self, opcode: u8) -> Result<()> {
        let (module, name): (Arc<str>, Arc<str>) = if opcode == b'c' {
            (self.input.line()?.into(), self.input.line()?.into())
        } else {
            match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => (module, name),
                _ => return Err(Failure::damaged(self.at, "the name of a class is no text")),
            }
        };
        match Global::find(&module, &name) {
            Some(global) => self.push(Value::Global(global)),
            None => {
                let name = format!("{module}.{name}");
                Err(Failure { offset: self.at, kind: Kind::Code(name) })
            }
        }
    }

    fn call(&mut self, opcode: u8) -> Result<()> {
        if opcode == 0x92 {
            let keywords = self.pop()?;
            if self.entries_of(&keywords).is_none_or(|entries| !entries.is_empty()) {
                return Err(Failure::unsupported(self.at, "an object made with keywords"));
            }
        }
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let Value::Global(callee) = callee else {
            return Err(Failure::damaged(self.at, "what is called is no class or function"));
        };
        let Some(Node::Items(arguments)) = self.node(&arguments).cloned() else {
            return Err(Failure::damaged(self.at, "the arguments of a call are no tuple"));
        };
        self.spend(arguments.len())?;
        let value = self.make(callee, &arguments)?;
        self.push(value)
    }

    /// Counts values against the limit.
    pub(super) fn spend(&mut self, count: usize) -> Result<()> {
        let Some(left) = self.left.checked_sub(count) else {
            let what = format!("a pickle of more than {MAX_VALUES} values");
            return Err(Failure::unsupported(self.at, what));
        };
        self.left = left;
        Ok(())
    }

    /// Adds a node and returns its value.
    pub(super) fn add(&mut self, node: Node) -> Result<Value> {
        self.spend(1)?;
        self.nodes.push(node);
        Ok(Value::Node(self.nodes.len() - 1))
    }

    pub(super) fn node(&self, value: &Value) -> Option<&Node> {
        match value {
            Value::Node(place) => self.nodes.get(*place),
            _ => None,
        }
    }

    pub(super) fn node_mut(&mut self, value: &Value) -> Option<&mut Node> {
        match value {
            Value::Node(place) => self.nodes.get_mut(*place),
            _ => None,
        }
    }

    fn entries_of(&self, value: &Value) -> Option<&[(Value, Value)]> {
        match self.node(value) {
            Some(Node::Dict(entries)) => Some(entries),
            _ => None,
        }
    }

    fn push(&mut self, value: Value) -> Result<()> {
        self.spend(1)?;
        self.stack.push(value);
        Ok(())
    }

    /// The height of the stack without its `count` upper values, none of them below the last mark.
    fn below(&self, count: usize) -> Result<usize> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let height = self.stack.len().checked_sub(count).filter(|height| *height >= floor);
        height.ok_or_else(|| Failure::damaged(self.at, "the stack is empty"))
    }

    fn top(&self) -> Result<&Value> {
        Ok(&self.stack[self.below(1)?])
    }

    fn pop(&mut self) -> Result<Value> {
        let top = self.below(1)?;
        Ok(self.stack.swap_remove(top))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => Err(Failure::damaged(self.at, "there is no mark on the stack")),
        }
    }

    /// The values down to the mark as keys and values.
    fn pairs(&mut self) -> Result<Vec<(Value, Value)>> {
        let items = self.pop_to_mark()?;
        if !items.len().is_multiple_of(2) {
            return Err(Failure::damaged(self.at, "a key of a dict has no value"));
        }
        let mut items = items.into_iter();
        Ok(std::iter::from_fn(|| items.next().zip(items.next())).collect())
    }
}

/// An integer of any length.
fn long(bytes: &[u8]) -> Value {
    if bytes.len() > 8 {
        return Value::Long(bytes.into());
    }
    let fill = if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
    let mut all = [fill; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(all))
}
