/** How Transformers begin that are named by their published weights. */
import { normal_, zeros_ } from '../nn/init';
import type { Module } from '../nn/module';

/** Small normal weights, biases of zero. */
export function initialize(model: Module): void {
  for (const [name, parameter] of model.namedParameters()) {
    if (parameter.rank > 1) normal_(parameter, 0, 0.02);
    else if (name.endsWith('bias')) zeros_(parameter);
  }
}
