/** Optimizers, schedules and what goes with them, as `optim`. */
export * from './adadelta';
export * from './adafactor';
export * from './adagrad';
export { Adam, AdamW, type AdamSettings } from './adam';
export * from './adamax';
export * from './asgd';
export * from './averaging';
export * from './clip';
export { FusedOptimizer } from './fused-optimizer';
export * from './grad-scaler';
export * from './lamb';
export * from './lbfgs';
export * from './lion';
export * from './muon';
export * from './nadam';
export {
  GradientOptimizer,
  Optimizer,
  type Group,
  type OptimizerState,
  type ParameterGroup,
  type ParameterState,
  type TorchOptimizerState,
} from './optimizer';
export * from './radam';
export * from './rmsprop';
export * from './rprop';
export * from './schedules';
export * from './sgd';
export * from './sparse-adam';
