//! CIFAR batches and IDX files.

use super::*;

#[test]
fn cifar_batches_come_back_with_the_names_beside_them() {
    let record = |label: u8, red: u8| [&[label][..], &[red; 1024], &[7; 1024], &[9; 1024]].concat();
    let root = tempdir().unwrap();
    let names = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n";
    write(root.path(), "batches.meta.txt", names.as_bytes());
    write(root.path(), "data_batch_1.bin", &[record(3, 1), record(0, 2)].concat());
    write(root.path(), "data_batch_2.bin", &record(9, 4));
    write(root.path(), "test_batch.bin", &record(5, 8));
    let (train, test) = (open_at(root.path(), ""), open_at(root.path(), ":test"));
    let (train, test) = (train.unwrap(), test.unwrap());
    assert_eq!((values(&*train), labels(&*train)), (vec![1, 2, 4], vec![3, 0, 9]));
    assert_eq!((values(&*test), labels(&*test)), (vec![8], vec![5]));
    assert_eq!(
        train.load(2, &Options::default()).unwrap().into_8_bits().pixels()[..6],
        [4, 7, 9, 4, 7, 9]
    );
    assert_eq!(train.classes()[3], "d");
    assert!(train.name(2).ends_with("data_batch_2.bin, image 0"), "{}", train.name(2));
    let one = open_at(root.path(), "data_batch_1.bin").unwrap();
    assert_eq!(values(&*one), [1, 2]);
    write(root.path(), "data_batch_2.bin", &record(9, 4)[1..]);
    let error = message(open_at(root.path(), ""));
    assert!(error.contains("data_batch_2.bin` is not a whole number"), "{error}");
}

#[test]
fn cifar_100_has_the_fine_labels() {
    let root = tempdir().unwrap();
    let record = [&[2, 77][..], &[5; 3072]].concat();
    write(root.path(), "train.bin", &record.repeat(2));
    let data = open_at(root.path(), "").unwrap();
    assert_eq!((labels(&*data), data.classes().len()), (vec![77, 77], 100));
    assert_eq!(values(&*data), [5, 5]);
    assert!(message(open_at(root.path(), ":test")).contains("has no part `:test`"));
}

/// Images of 3 × 2 pixels with these values.
fn idx_images(values: &[u8]) -> Vec<u8> {
    let head = [0, 0, 8, 3, 0, 0, 0, values.len() as u8, 0, 0, 0, 2, 0, 0, 0, 3];
    head.into_iter().chain(values.iter().flat_map(|&value| [value; 6])).collect()
}

fn idx_labels(labels: &[u8]) -> Vec<u8> {
    [&[0, 0, 8, 1, 0, 0, 0, labels.len() as u8], labels].concat()
}

#[test]
fn idx_files_are_read_plain_and_gzipped() {
    let root = tempdir().unwrap();
    write(root.path(), "train-images-idx3-ubyte.gz", &gz(&idx_images(&[10, 20, 30])));
    write(root.path(), "train-labels-idx1-ubyte.gz", &gz(&idx_labels(&[2, 0, 1])));
    write(root.path(), "t10k-images-idx3-ubyte", &idx_images(&[40]));
    write(root.path(), "t10k-labels-idx1-ubyte", &idx_labels(&[2]));
    let (train, test) = (open_at(root.path(), ""), open_at(root.path(), ":test"));
    let (train, test) = (train.unwrap(), test.unwrap());
    assert_eq!((values(&*train), labels(&*train)), (vec![10, 20, 30], vec![2, 0, 1]));
    assert_eq!((values(&*test), labels(&*test)), (vec![40], vec![2]));
    assert_eq!(
        (
            train.load(0, &Options::default()).unwrap().width(),
            train.load(0, &Options::default()).unwrap().height()
        ),
        (3, 2)
    );
    assert!(same_classes(&*train, &*test).is_ok());
    let file = open_at(root.path(), "t10k-images-idx3-ubyte").unwrap();
    assert_eq!(labels(&*file), [2]);
    let error = message(open_at(root.path(), "t10k-labels-idx1-ubyte"));
    assert!(error.contains("an IDX file of labels"), "{error}");
}

#[test]
fn idx_files_that_contradict_themselves_are_refused() {
    let root = tempdir().unwrap();
    let bytes = idx_images(&[1, 2]);
    write(root.path(), "x-images-idx3", &bytes[..bytes.len() - 1]);
    let error = message(open_at(root.path(), "x-images-idx3"));
    assert!(error.contains("has 11 bytes after its header, but [2, 2, 3] needs 12"), "{error}");
    write(root.path(), "x-images-idx3", &bytes);
    write(root.path(), "x-labels-idx1", &idx_labels(&[1]));
    let error = message(open_at(root.path(), "x-images-idx3"));
    assert!(error.contains("has 1 labels, but its image file has 2 images"), "{error}");
}
