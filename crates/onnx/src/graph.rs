//! A [`Graph`] collects weights and operations under names that a person can read.
//!
//! An operation's name is that of the value it computes. Values that belong to it alone, such as the shape of
//! a `Reshape`, have its name with an ending.

use half::f16;

use crate::error::{Error, Result};
use crate::message::{
    Attribute, DataType, Dimension, Graph as Message, Length, Node, Shape, Tensor, TensorType,
    Type, ValueInfo,
};

/// A value of the graph: an input, a weight, or what an operation computes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value(String);

/// The precision of weights and of what is computed with them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats. Inputs and outputs are of 32 bits.
    F16,
}

impl Precision {
    fn data_type(self) -> DataType {
        match self {
            Self::F32 => DataType::Float,
            Self::F16 => DataType::Float16,
        }
    }
}

/// A graph that grows.
#[derive(Debug)]
pub struct Graph {
    precision: Precision,
    message: Message,
}

impl Graph {
    /// A graph without operations, whose weights have this precision.
    pub fn new(name: &str, about: &str, precision: Precision) -> Self {
        let (name, doc_string) = (name.to_owned(), about.to_owned());
        Self { precision, message: Message { name, doc_string, ..Message::default() } }
    }

    /// The finished graph.
    pub fn finish(self) -> Message {
        self.message
    }

    /// A tensor of floats that a caller gives.
    pub fn input(&mut self, name: &str, shape: &[Length], about: &str) -> Value {
        self.message.input.push(value_info(name, shape, about));
        Value(name.to_owned())
    }

    /// A tensor of floats that a caller gets.
    pub fn output(&mut self, value: &Value, shape: &[Length], about: &str) {
        self.message.output.push(value_info(&value.0, shape, about));
    }

    /// A weight, in the precision of the graph.
    ///
    /// # Errors
    /// A value that is too large for 16-bit floats.
    pub fn weight(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Result<Value> {
        if self.precision == Precision::F32 {
            return Ok(self.floats(name, shape, values));
        }
        let too_large = |x: &&f32| x.is_finite() && f16::from_f32(**x).is_infinite();
        if let Some(&value) = values.iter().find(too_large) {
            return Err(Error::TooLarge { name: name.to_owned(), value });
        }
        let bytes = values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect();
        Ok(self.initializer(name, shape, DataType::Float16, bytes))
    }

    /// A constant of one value, in the precision of the graph.
    ///
    /// # Errors
    /// As [`weight`](Self::weight).
    pub fn scalar(&mut self, name: &str, value: f64) -> Result<Value> {
        self.weight(name, &[], &[value as f32])
    }

    /// A constant of 32-bit floats.
    pub fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Value {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.initializer(name, shape, DataType::Float, bytes)
    }

    /// A constant of integers, `[values]`.
    pub fn integers(&mut self, name: &str, values: &[i64]) -> Value {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.initializer(name, &[values.len()], DataType::Int64, bytes)
    }

    /// A constant of one integer, of shape `[]`.
    pub fn integer(&mut self, name: &str, value: i64) -> Value {
        self.initializer(name, &[], DataType::Int64, value.to_le_bytes().to_vec())
    }

    fn initializer(&mut self, name: &str, shape: &[usize], of: DataType, bytes: Vec<u8>) -> Value {
        self.message.initializer.push(Tensor {
            name: name.to_owned(),
            dims: shape.iter().map(|&n| n as i64).collect(),
            data_type: of.into(),
            raw_data: bytes,
            ..Tensor::default()
        });
        Value(name.to_owned())
    }

    /// An operation without attributes.
    pub fn op(&mut self, name: &str, op: &str, inputs: &[&Value]) -> Value {
        self.op_with(name, op, inputs, Vec::new())
    }

    /// An operation.
    pub fn op_with(
        &mut self,
        name: &str,
        op: &str,
        inputs: &[&Value],
        attribute: Vec<Attribute>,
    ) -> Value {
        self.push(name, op, inputs, vec![name.to_owned()], attribute);
        Value(name.to_owned())
    }

    /// Equal parts along `axis`, one for each of the names.
    pub fn split<const N: usize>(
        &mut self,
        x: &Value,
        axis: i64,
        names: [String; N],
    ) -> [Value; N] {
        let name = names.join(" and ");
        self.push(&name, "Split", &[x], names.to_vec(), vec![int("axis", axis)]);
        names.map(Value)
    }

    fn push(
        &mut self,
        name: &str,
        op: &str,
        inputs: &[&Value],
        output: Vec<String>,
        attribute: Vec<Attribute>,
    ) {
        let input = inputs.iter().map(|value| value.0.clone()).collect();
        let (name, op_type) = (name.to_owned(), op.to_owned());
        self.message.node.push(Node { input, output, name, op_type, attribute });
    }

    /// The values in another order of axes.
    pub fn transpose(&mut self, name: &str, x: &Value, axes: &[i64]) -> Value {
        self.op_with(name, "Transpose", &[x], vec![ints("perm", axes)])
    }

    /// The values in another shape. 0 keeps a dimension, −1 takes what is left.
    pub fn reshape(&mut self, name: &str, x: &Value, shape: &[i64]) -> Value {
        let shape = self.integers(&format!("{name}.shape"), shape);
        self.op(name, "Reshape", &[x, &shape])
    }

    /// `x[start..end]` along `axis`; `i64::MAX` ends where `x` does.
    pub fn slice(&mut self, name: &str, x: &Value, axis: i64, (start, end): (i64, i64)) -> Value {
        let start = self.integers(&format!("{name}.start"), &[start]);
        let end = self.integers(&format!("{name}.end"), &[end]);
        let axis = self.integers(&format!("{name}.axis"), &[axis]);
        self.op(name, "Slice", &[x, &start, &end, &axis])
    }

    /// Values side by side along `axis`.
    pub fn concat(&mut self, name: &str, parts: &[&Value], axis: i64) -> Value {
        self.op_with(name, "Concat", parts, vec![int("axis", axis)])
    }

    /// Values as 32-bit floats.
    pub fn cast_f32(&mut self, name: &str, x: &Value) -> Value {
        self.op_with(name, "Cast", &[x], vec![int("to", DataType::Float as i64)])
    }

    /// 32-bit floats in the precision of the graph.
    pub fn cast(&mut self, name: &str, x: &Value) -> Value {
        match self.precision {
            Precision::F32 => x.clone(),
            precision => {
                self.op_with(name, "Cast", &[x], vec![int("to", precision.data_type() as i64)])
            }
        }
    }

    /// Values under the name of an output, as 32-bit floats.
    pub fn named(&mut self, name: &str, x: &Value) -> Value {
        match self.precision {
            Precision::F32 => self.op(name, "Identity", &[x]),
            Precision::F16 => self.cast_f32(name, x),
        }
    }
}

/// An attribute of one integer.
pub fn int(name: &str, value: i64) -> Attribute {
    Attribute { name: name.to_owned(), i: Some(value), kind: 2, ..Attribute::default() }
}

/// An attribute of integers.
pub fn ints(name: &str, values: &[i64]) -> Attribute {
    let (name, ints) = (name.to_owned(), values.to_vec());
    Attribute { name, ints, kind: 7, ..Attribute::default() }
}

/// An attribute of one float.
pub fn float(name: &str, value: f32) -> Attribute {
    Attribute { name: name.to_owned(), f: Some(value), kind: 1, ..Attribute::default() }
}

/// A dimension of any length, with a name.
pub fn any(name: &str) -> Length {
    Length::Param(name.to_owned())
}

/// A dimension of this length.
pub fn exactly(length: usize) -> Length {
    Length::Value(length as i64)
}

fn value_info(name: &str, shape: &[Length], about: &str) -> ValueInfo {
    let dim = shape.iter().map(|length| Dimension { length: Some(length.clone()) }).collect();
    let tensor = TensorType { elem_type: DataType::Float.into(), shape: Some(Shape { dim }) };
    ValueInfo {
        name: name.to_owned(),
        r#type: Some(Type { tensor_type: Some(tensor) }),
        doc_string: about.to_owned(),
    }
}
