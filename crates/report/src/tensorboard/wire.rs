//! The wire format of protocol buffers, as far as events need it.

/// A message: its encoded fields, in the order in which they were added.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// The encoded fields.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds a field of type `double`.
    pub(super) fn double(mut self, field: u32, value: f64) -> Self {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds a field of type `float`.
    pub(super) fn float(mut self, field: u32, value: f32) -> Self {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds a field of a type of whole numbers, `bool` or `enum`.
    pub(super) fn varint(mut self, field: u32, value: u64) -> Self {
        self.key(field, 0);
        self.push_varint(value);
        self
    }

    /// Adds a field of type `string` or `bytes`.
    pub(super) fn bytes(mut self, field: u32, content: impl AsRef<[u8]>) -> Self {
        self.key(field, 2);
        self.push_varint(content.as_ref().len() as u64);
        self.0.extend(content.as_ref());
        self
    }

    /// Adds a message.
    pub(super) fn message(self, field: u32, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    fn key(&mut self, field: u32, wire_type: u32) {
        self.push_varint(u64::from(field << 3 | wire_type));
    }

    fn push_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}
