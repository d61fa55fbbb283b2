/** Optimizers, as `optim`. */
export * from './adam';
export * from './clip';
export * from './optimizer';
export * from './sgd';
