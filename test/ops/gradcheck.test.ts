// That the check of gradients finds wrong ones.
import { gradcheck } from '../../lib/autograd/gradcheck';
import { dropout, tensor, type AnyTensor } from '../../lib/index';

const leaf = (data: number[]): AnyTensor => tensor(data, { dtype: 'float64', requiresGrad: true });

test('accepts right gradients, of random ops too', () => {
  gradcheck((x, y) => [x!.mul(y!), x!.exp()], [leaf([1, 2]), leaf([3, 4])], { order: 2 });
  gradcheck((x) => dropout(x!, 0.5), [leaf([1, 2, 3, 4])], { order: 2 });
});

test('names the element where a gradient is wrong', () => {
  expect(() => gradcheck((x) => x!.mul(x!.detach()), [leaf([1, 2])])).toThrow(
    /^gradcheck: gradient: inputs\[0\] \[2\] at flat position 0: got 1, expected (2|1\.9999\d*|2\.0000\d*) by differences$/,
  );
});

test('finds a wrong second order behind a right first', () => {
  // The value is x² and the gradient 2x, but the graph takes that for a constant.
  const f = (x: AnyTensor): AnyTensor => x.mul(x.detach()).mul(2).sub(x.detach().square());
  gradcheck((x) => f(x!), [leaf([1.5])]);
  expect(() => gradcheck((x) => f(x!), [leaf([1.5])], { order: 2 })).toThrow(
    /^gradcheck: gradient of the gradient: inputs\[0\] \[1\]/,
  );
});

test('wants float64 inputs that require a gradient', () => {
  expect(() => gradcheck((x) => x!, [tensor([1], { requiresGrad: true })])).toThrow(
    'gradcheck: inputs[0]: got float32, expected float64',
  );
  expect(() => gradcheck((x) => x!, [tensor([1], { dtype: 'float64' })])).toThrow(
    'gradcheck: inputs: got none that requires a gradient',
  );
});
