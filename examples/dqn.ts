/**
 * Catches falling balls by deep Q-learning: a network of a picture says what each move will be worth, and learns from moves that are remembered.
 *
 *   npx tsx examples/dqn.ts                     needs no data: the game is 60 lines of this program
 *   npx tsx examples/dqn.ts --moves 40000       and so on; --help lists the options
 *
 * Mnih et al., 2015, Human-level control through deep reinforcement learning; van Hasselt, Guez and Silver, 2016, for choosing by one network and
 * judging by the other; the game after Mnih et al., 2014, Recurrent models of visual attention.
 */
import { parseArgs } from 'node:util';

import { compile, data, manualSeed, nn, noGrad, optim, scope, tensor, train } from 'hadal';
import type { AnyTensor } from 'hadal';

const usage = `Options:
  --moves N        moves that are played to learn (20000)
  --batch N        remembered moves per step (64)
  --lr RATE        (0.001)
  --memory N       moves that are remembered (10000)
  --double         choose what is best next by the network that learns, and judge it by the one that follows it
  --seed N         of everything random (0)`;

const { values } = parseArgs({
  options: {
    moves: { type: 'string', default: '20000' },
    batch: { type: 'string', default: '64' },
    lr: { type: 'string', default: '0.001' },
    memory: { type: 'string', default: '10000' },
    double: { type: 'boolean', default: false },
    seed: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});

const [ROWS, COLUMNS, MOVES] = [10, 8, 3];
/** What a reward is worth a move later. */
const GAMMA = 0.97;
/** How much of the way the network that judges follows in a step. */
const FOLLOW = 0.01;

/** A ball falls and drifts; a paddle of one pixel below moves left, stays or moves right. Caught, the ball counts 1, missed −1. */
class Game {
  private ball = { row: 0, column: 0, drift: 0 };
  private paddle = 0;

  constructor(private readonly random: data.Random) {
    this.start();
  }

  start(): void {
    this.ball = { row: 0, column: this.random.integer(COLUMNS), drift: this.random.integer(3) - 1 };
    this.paddle = this.random.integer(COLUMNS);
  }

  /** The picture, its rows one behind the other. */
  see(): Float32Array {
    const picture = new Float32Array(ROWS * COLUMNS);
    picture[this.ball.row * COLUMNS + this.ball.column] = 1;
    picture[(ROWS - 1) * COLUMNS + this.paddle] = 1;
    return picture;
  }

  /** Moves by `move` − 1 columns; the game is over when the ball is down. */
  play(move: number): { readonly reward: number; readonly over: boolean } {
    const within = (column: number): number => Math.min(Math.max(column, 0), COLUMNS - 1);
    this.paddle = within(this.paddle + move - 1);
    this.ball.row++;
    this.ball.column = within(this.ball.column + (this.ball.row % 2 === 0 ? this.ball.drift : 0));
    const over = this.ball.row === ROWS - 1;
    return { over, reward: over ? (this.ball.column === this.paddle ? 1 : -1) : 0 };
  }
}

/** The last moves: what was seen before and after, the move, its reward, and whether the game went on. */
class Memory {
  private readonly before: Float32Array;
  private readonly after: Float32Array;
  private readonly moves: Int32Array;
  private readonly rewards: Float32Array;
  private readonly goesOn: Float32Array;
  private count = 0;

  constructor(private readonly capacity: number) {
    this.before = new Float32Array(capacity * ROWS * COLUMNS);
    this.after = new Float32Array(capacity * ROWS * COLUMNS);
    this.moves = new Int32Array(capacity);
    this.rewards = new Float32Array(capacity);
    this.goesOn = new Float32Array(capacity);
  }

  add(before: Float32Array, move: number, reward: number, after: Float32Array, over: boolean): void {
    const place = this.count++ % this.capacity;
    this.before.set(before, place * before.length);
    this.after.set(after, place * after.length);
    this.moves[place] = move;
    this.rewards[place] = reward;
    this.goesOn[place] = over ? 0 : 1;
  }

  draw(size: number, random: data.Random): readonly [AnyTensor, AnyTensor, AnyTensor, AnyTensor, AnyTensor] {
    const places = Array.from({ length: size }, () => random.integer(Math.min(this.count, this.capacity)));
    const pictures = (all: Float32Array): AnyTensor => {
      const drawn = new Float32Array(size * ROWS * COLUMNS);
      places.forEach((place, i) => {
        drawn.set(all.subarray(place * ROWS * COLUMNS, (place + 1) * ROWS * COLUMNS), i * ROWS * COLUMNS);
      });
      return tensor(drawn, { shape: [size, 1, ROWS, COLUMNS] });
    };
    const numbers = <A extends Float32Array | Int32Array>(all: A): AnyTensor =>
      tensor(all instanceof Int32Array ? Int32Array.from(places, (place) => all[place]!) : Float32Array.from(places, (place) => all[place]!)); // prettier-ignore
    return [pictures(this.before), numbers(this.moves), numbers(this.rewards), pictures(this.after), numbers(this.goesOn)]; // prettier-ignore
  }
}

/** Pictures [b, 1, rows, columns] to the worth of each move [b, 3]. */
const makeNetwork = (): nn.Sequential =>
  new nn.Sequential(
    new nn.Conv2d(1, 16, 3, { padding: 1 }),
    new nn.ReLU(),
    new nn.Conv2d(16, 16, 3, { padding: 1, stride: 2 }),
    new nn.ReLU(),
    new nn.Flatten(),
    new nn.Linear(16 * (ROWS / 2) * (COLUMNS / 2), 64),
    new nn.ReLU(),
    new nn.Linear(64, MOVES),
  );

async function main(): Promise<void> {
  if (values.help) return console.log(usage);
  const [moves, batch, seed] = [Number(values.moves), Number(values.batch), Number(values.seed)];
  manualSeed(seed);
  const random = new data.Random(seed);
  const game = new Game(random);
  const memory = new Memory(Number(values.memory));
  const [network, judge] = [makeNetwork(), makeNetwork()];
  judge.loadStateDict(network.stateDict());
  const optimizer = new optim.Adam(network.parameters(), { lr: Number(values.lr) });

  const learn = compile(
    (before: AnyTensor, played: AnyTensor, rewards: AnyTensor, after: AnyTensor, goesOn: AnyTensor) => {
      const aims = noGrad(() => {
        const worth = judge.forward(after);
        const chosen = values.double ? network.forward(after).argmax(1) : worth.argmax(1);
        const best = worth.gather(1, chosen.unsqueeze(1)).squeeze(1);
        return rewards.add(best.mul(goesOn).mul(GAMMA));
      });
      optimizer.zeroGrad();
      const said = network.forward(before).gather(1, played.unsqueeze(1)).squeeze(1);
      nn.functional.huberLoss(said, aims).backward();
      optimizer.step();
      noGrad(() => {
        const own = network.parameters();
        judge.parameters().forEach((parameter, i) => parameter.copy_(parameter.lerp(own[i]!, FOLLOW)));
      });
    },
  );

  const bestMove = async (picture: Float32Array): Promise<number> => {
    const seen = tensor(picture, { shape: [1, 1, ROWS, COLUMNS] });
    return noGrad(() => scope(() => network.forward(seen).argmax(1))).item();
  };

  using progress = new train.ProgressBar({ total: moves, unit: 'moves' });
  const results: number[] = [];
  for (let i = 1; i <= moves; i++) {
    const before = game.see();
    // At first at random, then more and more by what has been learned.
    const explore = Math.max(0.05, 1 - i / (0.5 * moves));
    const move = random.uniform() < explore ? random.integer(MOVES) : await bestMove(before);
    const { reward, over } = game.play(move);
    memory.add(before, move, reward, game.see(), over);
    if (over) {
      results.push(reward);
      game.start();
    }
    if (i >= 500 && i % 2 === 0) learn(...memory.draw(batch, random));
    if (i % 500 === 0) {
      const caught = results.slice(-100).filter((result) => result > 0).length / Math.min(results.length, 100);
      progress.update(i, { caught: `${Math.round(100 * caught)} %` });
    }
  }
  progress.stop();

  let caught = 0;
  for (let played = 0; played < 200;) {
    const { reward, over } = game.play(await bestMove(game.see()));
    if (!over) continue;
    played++;
    if (reward > 0) caught++;
    game.start();
  }
  console.log(`Caught ${caught / 2} % of 200 balls`);
}

void main();
