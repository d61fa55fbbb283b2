/** Networks and their parts, as `nn`. */
export * from './activation';
export * from './container';
export * from './convolution';
export * from './distance';
export * from './embedding';
export * from './graph';
export * as functional from './functional';
export * as init from './init';
export * from './linear';
export * from './loss';
export * from './module';
export * from './multi-head-attention';
export * from './normalization';
export * from './padding';
export * from './pooling';
export * from './recurrent';
export * from './regularization';
export * from './transformer';
