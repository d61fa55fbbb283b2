/** Differentiation, and mixed precision. */
export { autocast, autocastDType } from './autocast';
export { backward, type BackwardOptions } from './backward';
export { compile, type Compiled } from './compile';
export * from './custom-function';
export { hessian, jacobian, jvp, vjp } from './derivatives';
export { gradcheck, type GradcheckOptions } from './gradcheck';
export * from './modes';
export * from './transforms';
