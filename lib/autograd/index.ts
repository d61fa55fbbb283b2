/** Differentiation. */
export { backward, type BackwardOptions } from './backward';
export * from './custom-function';
export { gradcheck, type GradcheckOptions } from './gradcheck';
export * from './modes';
export * from './transforms';
