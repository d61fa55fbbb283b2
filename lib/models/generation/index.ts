export { beamSearch, type BeamSearchOptions, type BeamSearchResult } from './beam-search';
export { generate, generateBatch, type GenerateOptions, type LengthOptions } from './generate';
export type {
  LanguageModel,
  LanguageModelCall,
  LanguageModelLossOptions,
  SequenceToSequenceModel,
} from './language-model';
export type { ChoiceOptions, LogitsOptions, LogitsProcessor } from './logits';
