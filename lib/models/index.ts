/**
 * Known networks, as `models`. The state of image networks is named as in torchvision, so that weights from there load; language models read those of the
 * library transformers.
 */
export * from './alexnet';
export * from './bart';
export * from './bert';
export * from './bert-classifier';
export * from './cifar-resnet';
export * from './clip';
export * from './convnext';
export * from './densenet';
export * from './efficientnet';
export { EncoderDecoder, type EncoderDecoderCall, type EncoderDecoderLossOptions } from './encoder-decoder';
export * from './generation';
export * from './googlenet';
export * from './gpt2';
export * from './lenet';
export * from './llama';
export * from './mobilenet-v2';
export * from './mobilenet-v3';
export * from './resnet';
export * from './swin';
export * from './t5';
export * from './transcribe';
export * from './vgg';
export * from './vit';
export * from './whisper';
export { whisperFeatures, type WhisperFeaturesOptions } from './whisper-features';
export type { WhisperLanguage } from './whisper-language';
export type { FallbackOptions } from './whisper-target';
export { whisperTimes, type TimedTokens, type WhisperSegment, type WhisperTimesOptions } from './whisper-times';
