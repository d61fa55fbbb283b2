// A loss against PyTorch's: its value and its gradient, as computed and as recorded.
import { gradients, tensor, type AnyTensor } from '../../lib/index';
import { expectNear, golden, weighted, type Parts } from './golden';

export type LossCase = (x: AnyTensor, parts: Parts) => AnyTensor;

export async function compareLoss(name: string, loss: LossCase, file = 'nn'): Promise<void> {
  const parts = await golden(name, file);
  const x = parts['x0']!.clone().requiresGrad_();
  const y = loss(x, parts);
  expectNear(y, parts['y']!, `${name}: loss`);
  const total = y.rank === 0 ? y : weighted(y, tensor);
  total.backward({ retainGraph: true });
  expectNear(x.grad, parts['g0']!, `${name}: gradient`);
  // The recorded form of the gradient, over ops, says the same as the fused kernel.
  const [recorded] = gradients([total], [x], { createGraph: true });
  expectNear(recorded, parts['g0']!, `${name}: recorded gradient`);
}
