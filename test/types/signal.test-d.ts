import {
  fft,
  fftn,
  frame,
  hannWindow,
  ifft,
  irfft,
  irfftn,
  istft,
  overlapAdd,
  rfft,
  rfftn,
  stft,
  zeros,
  type Tensor,
} from 'hadal';
import { expectType } from './expect';

declare const n: number;
declare const anyShape: Tensor;

expectType<Tensor<[8, 513, 2]>>().of(rfft(zeros([8, 1024])));
expectType<Tensor<[8, 3, 2]>>().of(zeros([8, 1024]).rfft({ n: 4 }));
expectType<Tensor<[5, 1024, 2]>>().of(rfft(zeros([8, 1024]), { axis: 0 }));
expectType<Tensor<[8, number, 2]>>().of(rfft(zeros([8, n])));
expectType<Tensor<[8, 1024]>>().of(irfft(zeros([8, 513, 2])));
expectType<Tensor<[8, 1025]>>().of(irfft(zeros([8, 513, 2]), { n: 1025 }));
irfft(zeros([8, 513])); // error: "irfft: not pairs: got shape [8, 513], expected a last axis of real and imaginary parts"
expectType<Tensor<[8, 512, 2]>>().of(fft(zeros([8, 512, 2])));
expectType<Tensor<[8, 100, 2]>>().of(zeros([8, 512, 2]).ifft({ n: 100 }));
expectType<Tensor<[16, 512, 2]>>().of(fft(zeros([8, 512, 2]), { n: 16, axis: 0 }));
fft(zeros([8, 512])); // error: "fft: not pairs: got shape [8, 512], expected a last axis of real and imaginary parts"
ifft(zeros([])); // error: "ifft: not pairs: got shape [], expected a last axis of real and imaginary parts"
expectType<Tensor<[8, 32, 17, 2]>>().of(rfftn(zeros([8, 32, 32]), { axes: [-2, -1] }));
expectType<Tensor<[8, 17, 32, 2]>>().of(rfftn(zeros([8, 32, 32]), { axes: [-1, -2] }));
expectType<Tensor<[32, 17, 2]>>().of(rfftn(zeros([32, 32])));
expectType<Tensor<[17, 8, 2]>>().of(rfftn(zeros([32, 8]), { axes: 0 }));
expectType<Tensor>().of(rfftn(zeros([32, 32]), { n: [n, 8] }));
expectType<Tensor<[8, 32, 32]>>().of(irfftn(zeros([8, 32, 17, 2])));
expectType<Tensor<[4, 5, 2], 'float64'>>().of(fftn(zeros([4, 5, 2], { dtype: 'float64' })));
expectType<Tensor<[2, 201, number, 2]>>().of(stft(zeros([2, 16000]), 400, { hopLength: 160 }));
expectType<Tensor<[2, 16000]>>().of(istft(zeros([2, 201, 101, 2]), 400, { length: 16000 }));
expectType<Tensor<[2, number]>>().of(istft(zeros([2, 201, 101, 2]), 400));
istft(zeros([201, 101, 3]), 400); // error: "istft: not pairs: got shape [201, 101, 3], expected a last axis of real and imaginary parts"
expectType<Tensor<[2, number, 400]>>().of(frame(zeros([2, 16000]), 400, 160));
expectType<Tensor<[2, number]>>().of(overlapAdd(zeros([2, 10, 400]), 160));
expectType<Tensor<[400], 'float64'>>().of(hannWindow(400, { dtype: 'float64' }));
expectType<Tensor>().of(stft(anyShape, 400));
expectType<Tensor>().of(irfft(anyShape));
