/** Text to numbers and back, as `data.text`. */
export { Tokenizer, type AddedToken, type DecodeOptions, type EncodeOptions } from './tokenizer';
export { loadGpt2Tokenizer, loadTokenizer } from './tokenizer-json';
export { trainBpe, type TrainBpeOptions } from './train-bpe';
export { Vocabulary, type VocabularyOptions } from './vocabulary';
