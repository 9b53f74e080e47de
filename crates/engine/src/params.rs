//! All parameters of a network in one contiguous buffer, with a table of names, shapes and roles.
//!
//! Gradients, moments and the teacher are further buffers of the same layout. So clipping, AdamW, the
//! teacher's update, all-reduce and checkpoints are passes over contiguous memory.

use std::borrow::Cow;
use std::sync::Arc;

use crate::device::Device;
use crate::tensor::{Dtype, Tensor, View, ViewMut};

/// A parameter: what a layer holds in place of a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    index: usize, // of its entry in the table
    start: usize,
    len: usize,
}

impl Param {
    /// The values that it has in the buffer.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start..self.start + self.len
    }
}

/// What a parameter is for. Initialization, weight decay and freezing read the role, never the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Weight of a linear layer.
    Weight,
    /// Bias of a linear layer, or β of a norm.
    Bias,
    /// γ of a norm.
    Norm,
    /// Scale of a residual branch.
    LayerScale,
    /// A learned token: \[CLS\].
    Token,
    /// The token that stands for masked patches.
    MaskToken,
    /// The table of position embeddings.
    Positions,
    /// Weight or bias of the patch projection.
    Patch,
    /// Directions `v` of prototypes.
    Prototype,
    /// Signed norms `g` of prototypes.
    PrototypeNorm,
}

/// One parameter of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// PyTorch's name, `backbone.blocks.0.attn.qkv.weight`.
    pub name: String,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
    /// Its place in the buffer.
    pub param: Param,
}

/// Names, shapes, roles and places, in the order in which PyTorch lists the parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParamTable {
    entries: Vec<Entry>,
    len: usize,
}

impl ParamTable {
    /// Appends a parameter.
    ///
    /// # Panics
    /// If the name is taken.
    pub fn add(&mut self, name: impl Into<String>, shape: &[usize], role: Role) -> Param {
        let name = name.into();
        assert!(self.find(&name).is_none(), "parameter `{name}` is there twice");
        let (index, len) = (self.entries.len(), shape.iter().product());
        let param = Param { index, start: self.len, len };
        self.len += len;
        self.entries.push(Entry { name, shape: shape.to_vec(), role, param });
        param
    }

    /// All parameters, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The parameter of this name.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// Number of values of all parameters.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no parameter.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// One buffer in the layout of a table: weights, gradients, a moment or the teacher.
#[derive(Debug, Clone)]
pub struct Params {
    table: Arc<ParamTable>,
    values: Tensor,
}

impl Params {
    /// All zero, on the host.
    pub fn zeros(table: Arc<ParamTable>) -> Self {
        Self { values: Tensor::zeros(&[table.len()]), table }
    }

    /// The layout.
    pub fn table(&self) -> &Arc<ParamTable> {
        &self.table
    }

    /// One parameter.
    pub fn view(&self, param: Param) -> View<'_> {
        View::new(&self.values, param.range(), &self.table.entries[param.index].shape)
    }

    /// One parameter, to change.
    pub fn view_mut(&mut self, param: Param) -> ViewMut<'_> {
        let [view] = self.views_mut([param]);
        view
    }

    /// Several parameters, to change at once.
    ///
    /// # Panics
    /// If they overlap or are not in the table's order.
    pub fn views_mut<const N: usize>(&mut self, params: [Param; N]) -> [ViewMut<'_>; N] {
        let Self { table, values } = self;
        if let Device::Cuda(_) = values.device() {
            let (start, mut at) = (values.cuda_mut().pointer_mut(), 0);
            return params.map(|param| {
                assert!(at <= param.start, "parameters that are changed at once are in order");
                at = param.start + param.len;
                let first = start.offset(param.start * Dtype::F32.size());
                ViewMut::on_cuda(first, &table.entries[param.index].shape)
            });
        }
        let (mut rest, mut at) = (values.host_mut(), 0);
        params.map(|param| {
            assert!(at <= param.start, "parameters that are changed at once are in order");
            rest = &mut std::mem::take(&mut rest)[param.start - at..];
            at = param.start + param.len;
            ViewMut::split_off(&mut rest, &table.entries[param.index].shape)
        })
    }

    /// The whole buffer as one vector.
    pub fn whole(&self) -> &Tensor {
        &self.values
    }

    /// The whole buffer as one vector, to change.
    pub fn whole_mut(&mut self) -> &mut Tensor {
        &mut self.values
    }

    /// Sets all values to zero.
    pub fn clear(&mut self) {
        self.on_host_mut(|params| params.values.host_mut().fill(0.0));
    }

    /// The device that holds the values.
    pub fn device(&self) -> Device {
        self.values.device()
    }

    /// The parameters in host memory: themselves if they are there, else a copy.
    pub fn on_host(&self) -> Cow<'_, Self> {
        match self.values.on_host() {
            Cow::Borrowed(_) => Cow::Borrowed(self),
            Cow::Owned(values) => Cow::Owned(Self { table: self.table.clone(), values }),
        }
    }

    /// Changes the values on the host and moves them back, as
    /// [`Tensor::on_host_mut`].
    pub fn on_host_mut<R>(&mut self, change: impl FnOnce(&mut Self) -> R) -> R {
        if self.device() == Device::Cpu {
            return change(self);
        }
        let mut host = self.on_host().into_owned();
        let result = change(&mut host);
        *self = host.to(&self.device());
        result
    }

    /// The parameters in the memory of `device`.
    pub fn to(self, device: &Device) -> Self {
        Self { table: self.table, values: self.values.to(device) }
    }
}
