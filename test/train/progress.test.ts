import { formatDuration, ProgressBar } from '../../lib/train/progress';

/** A terminal (or a pipe) and a clock; `lines` are what a reader would see. */
function setup(columns?: number, options: { total?: number; plainInterval?: number } = {}) {
  const output: string[] = [];
  const clock = { time: 1000 };
  const progress = new ProgressBar({
    total: options.total ?? 1000,
    unit: 'images',
    ...(options.plainInterval === undefined ? {} : { plainInterval: options.plainInterval }),
    now: () => clock.time,
    stream: { write: (text) => output.push(text), isTTY: columns !== undefined, columns },
  });
  const lines = (): string[] => {
    const screen = [''];
    let cursor = 0;
    for (const token of output
      .join('')
      .replaceAll('\x1b[K', '␛')
      .split(/([\r\n␛])/)) {
      const row = screen.length - 1;
      expect(token).not.toContain('\x1b'); // a sequence that this terminal does not know
      if (token === '\n') screen.push('');
      else if (token === '␛') screen[row] = screen[row]!.slice(0, cursor);
      else if (token !== '\r')
        screen[row] = screen[row]!.slice(0, cursor) + token + screen[row]!.slice(cursor + token.length);
      cursor = token === '\n' || token === '\r' ? 0 : token === '␛' ? cursor : cursor + token.length;
    }
    return screen;
  };
  return { progress, clock, output, lines };
}

describe('on a terminal', () => {
  test('one line shows the share, the values, the speed and the time left', () => {
    const { progress, clock, lines } = setup(100);
    clock.time += 2000;
    progress.update(250, { epoch: '1/4', loss: 0.51239, accuracy: '84.0 %' });
    expect(lines()).toEqual([
      '━━━━━━━───────────────────  25 %  epoch 1/4  loss 0.5124  accuracy 84.0 %  125 images/s  0:06 left',
    ]);
    clock.time += 1000;
    progress.update(500, { epoch: '2/4', loss: 0.1, accuracy: '95.5 %' });
    expect(lines()[0]).toMatch(
      /━ *─* +50 % {2}epoch 2\/4 {2}loss 0\.1000 {2}accuracy 95\.5 % {2}167 images\/s {2}0:03 left$/,
    );
    clock.time += 3000;
    progress.update(1000);
    progress.stop();
    expect(lines()).toHaveLength(2);
    expect(lines()[0]).toMatch(
      /^━+ +100 % {2}epoch 2\/4 {2}loss 0\.1000 {2}accuracy 95\.5 % {2}167 images\/s {2}in 0:06$/,
    );
  });

  test('it is redrawn at most ten times a second', () => {
    const { progress, clock, output } = setup(100);
    for (let step = 1; step <= 1000; step++) {
      clock.time += 1;
      progress.update(step);
    }
    expect(output.length).toBe(10);
  });

  test('the speed is that of the last seconds', () => {
    const { progress, clock, lines } = setup(100, { total: 1e6 });
    let done = 0;
    for (const perSecond of [10, 1000]) {
      for (let second = 0; second < 30; second++) {
        clock.time += 1000;
        progress.update((done += perSecond));
      }
    }
    expect(lines()[0]).toContain('1,000 images/s  16:10 left');
  });

  test.each([120, 60, 40, 20, 5])('it never fills a terminal of %i columns', (columns) => {
    const { progress, clock, lines } = setup(columns);
    for (const done of [1, 500, 1000]) {
      clock.time += 5000;
      progress.update(done, { epoch: '10/10', loss: 0.123456, accuracy: '98.76 %' });
      expect(lines()).toHaveLength(1);
      expect(lines()[0]!.length).toBeLessThan(columns);
      expect(lines()[0]!.length).toBeGreaterThan(0);
    }
  });

  test('a shorter line leaves nothing of a longer one', () => {
    const { progress, clock, lines } = setup(60);
    clock.time += 1000;
    progress.update(10, { note: 'a long one, a very long one' });
    clock.time += 1000;
    progress.update(20, {});
    expect(lines()[0]).toMatch(/ 1:38 left$/);
    expect(lines()[0]).not.toContain('long');
  });

  test('a line of its own appears above', () => {
    const { progress, clock, lines } = setup(60);
    clock.time += 1000;
    progress.update(500, {});
    const line = lines()[0]!;
    progress.log('epoch 1: 97.3 %');
    expect(lines()).toEqual(['epoch 1: 97.3 %', line]);
    progress.stop();
    progress.log('done');
    expect(lines().slice(2)).toEqual(['done', '']);
  });

  test('the cursor is never hidden, the line is ended once, also when the run throws', () => {
    const { progress, clock, output } = setup(60);
    expect(() => {
      using bar = progress;
      clock.time += 1000;
      bar.update(10);
      throw new Error('out of luck');
    }).toThrow('out of luck');
    progress.stop();
    progress.update(20);
    clock.time += 1000;
    progress.update(30);
    expect(output.at(-1)).toBe('\n');
    expect(output.join('')).not.toContain('\x1b[?25l');
  });
});

describe('where there is no terminal', () => {
  test('a plain line now and then, without control characters', () => {
    const { progress, clock, output } = setup(undefined, { plainInterval: 5000 });
    for (let second = 1; second <= 12; second++) {
      clock.time += 1000;
      progress.update(second * 50, { loss: 1 / second });
      if (second === 7) progress.log('epoch 1 done');
    }
    progress.stop();
    expect(output).toEqual([
      '25 %  loss 0.2000  50 images/s  0:15 left\n',
      'epoch 1 done\n',
      '50 %  loss 0.1000  50 images/s  0:10 left\n',
      '60 %  loss 0.0833  50 images/s  0:08 left\n',
    ]);
  });

  test('so is a dumb terminal', () => {
    const before = process.env['TERM'];
    process.env['TERM'] = 'dumb';
    try {
      const { progress, output } = setup(80);
      progress.stop();
      expect(output).toEqual(['0 %\n']);
    } finally {
      if (before === undefined) delete process.env['TERM'];
      else process.env['TERM'] = before;
    }
  });
});

test('nothing to do, more than was to do, and values that are no numbers', () => {
  const nothing = setup(undefined, { total: 0 });
  nothing.progress.stop();
  expect(nothing.output).toEqual(['100 %  in 0:00\n']);
  const more = setup(undefined, { total: 10, plainInterval: 0 });
  more.clock.time += 1000;
  more.progress.update(20, { loss: NaN, step: 20, lr: 1e-5, big: 123456.78 });
  expect(more.output).toEqual(['100 %  loss NaN  step 20  lr 1.00e-5  big 123456.8  20 images/s  in 0:01\n']);
});

test.each([
  [0, '0:00'],
  [59_499, '0:59'],
  [59_500, '1:00'],
  [3_599_000, '59:59'],
  [3_600_000, '1:00:00'],
  [90_061_000, '25:01:01'],
])('%i milliseconds are %s', (milliseconds, text) => {
  expect(formatDuration(milliseconds)).toBe(text);
});
