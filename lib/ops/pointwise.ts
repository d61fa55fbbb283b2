/** Every pointwise op. */
export * from './pointwise-activation';
export * from './pointwise-binary';
export * from './pointwise-compare';
export * from './pointwise-composed';
export * from './pointwise-special';
export * from './pointwise-unary';
