//! `Global` is the list of everything that a pickle may refer to. What is not in it is refused.

use crate::dtype::Dtype;

/// A class or a function that a pickle may name. None of them is ever executed: the reader knows what each
/// one makes of its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    /// `collections.OrderedDict`, `Counter`, `dict`.
    Dict,
    /// `collections.defaultdict`.
    DefaultDict,
    /// `list`, `tuple`, `set`, `frozenset`, `torch.Size`.
    Items,
    /// `argparse.Namespace`, `types.SimpleNamespace`.
    Namespace,
    /// `pathlib.PosixPath` and its relatives.
    Path,
    /// `torch.device`.
    Device,
    /// A class that is only mentioned, such as `int` or `torch.Tensor`.
    Mentioned,
    /// `bytes`, `bytearray`.
    Bytes,
    /// `_codecs.encode`, by which protocol 2 stores bytes.
    Encode,
    /// `torch.FloatStorage` and so on.
    Storage(Dtype),
    /// `torch.storage.UntypedStorage`.
    UntypedStorage,
    /// `torch.float32` and so on.
    TorchDtype(Dtype),
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`.
    Tensor,
    /// `torch._utils._rebuild_tensor_v3`, which has a dtype.
    TypedTensor,
    /// `torch._utils._rebuild_parameter`, also with a state.
    Parameter,
    /// `torch._tensor._rebuild_from_type_v2`: a tensor with attributes.
    WithAttributes,
    /// `numpy.dtype`.
    NumpyDtype,
    /// `numpy.core.multiarray.scalar`.
    NumpyScalar,
    /// `numpy.core.multiarray._reconstruct`.
    NumpyArray,
}

impl Global {
    /// The global of this module and name, if it is allowed.
    pub(super) fn find(module: &str, name: &str) -> Option<Self> {
        let global = match (module, name) {
            ("collections", "OrderedDict" | "Counter") | (BUILTINS | BUILTINS_2, "dict") => {
                Self::Dict
            }
            ("collections", "defaultdict") => Self::DefaultDict,
            ("torch", "Size") | (BUILTINS | BUILTINS_2, "list" | "tuple" | "set" | "frozenset") => {
                Self::Items
            }
            ("argparse", "Namespace") | ("types", "SimpleNamespace") => Self::Namespace,
            ("pathlib" | "pathlib._local", name) if name.ends_with("Path") => Self::Path,
            ("torch", "device") => Self::Device,
            (BUILTINS | BUILTINS_2, "bytes" | "bytearray") => Self::Bytes,
            (BUILTINS | BUILTINS_2, "int" | "float" | "bool" | "str" | "complex" | "object")
            | ("torch", "Tensor")
            | ("torch.nn.parameter", "Parameter" | "Buffer")
            | ("numpy", "ndarray") => Self::Mentioned,
            ("_codecs", "encode") => Self::Encode,
            ("torch.storage", "UntypedStorage") | ("torch", "UntypedStorage") => {
                Self::UntypedStorage
            }
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::Tensor,
            ("torch._utils", "_rebuild_tensor_v3") => Self::TypedTensor,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                Self::Parameter
            }
            ("torch._tensor", "_rebuild_from_type_v2") => Self::WithAttributes,
            ("numpy", "dtype") => Self::NumpyDtype,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Self::NumpyScalar,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
                Self::NumpyArray
            }
            ("torch", name) => match Dtype::of_storage_class(name) {
                Some(dtype) => Self::Storage(dtype),
                None => Self::TorchDtype(Dtype::of_torch(name)?),
            },
            _ => return None,
        };
        Some(global)
    }
}

const BUILTINS: &str = "builtins";
/// The module's name in Python 2, which protocol 2 keeps.
const BUILTINS_2: &str = "__builtin__";
