/** Differentiation. */
export { backward, type BackwardOptions } from './backward';
export * from './modes';
export * from './transforms';
