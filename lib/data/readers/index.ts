/** Readers of data files. IDX and MNIST are in `io`. */
export { openArrays } from './arrays';
export { readCifar, type CifarImages } from './cifar';
export { readCsv, type CsvOptions, type CsvTable } from './csv';
export { decodeImage, ImageFolder, type ImageOptions, type LabelledImage } from './image';
export { JsonLines, TextLines } from './lines';
export { parseWav, readWav, type Recording } from './wav';
