/**
 * Teaches a network to balance a pole on a cart, by proximal policy optimization: no data, only a reward for each step that the pole stands.
 *
 *   npx tsx examples/cartpole.ts                  120,000 steps of the simulation
 *   npx tsx examples/cartpole.ts --steps 200000   and so on; --help lists the options
 *
 * Schulman et al., 2017, Proximal policy optimization algorithms; the cart and pole of Barto, Sutton and Anderson, 1983.
 */
import { parseArgs } from 'node:util';

import { compile, data, distributions, manualSeed, nn, noGrad, optim, scope, tensor, train } from 'hadal';
import type { AnyTensor } from 'hadal';

const usage = `Options:
  --steps N        of the simulation, over all carts (120000)
  --carts N        that are simulated side by side (8)
  --horizon N      steps of each cart between two updates (128)
  --epochs N       passes over what was seen, at each update (10)
  --lr RATE        at the beginning; it falls to 0 (0.001)
  --seed N         of everything random (0)`;

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '120000' },
    carts: { type: 'string', default: '8' },
    horizon: { type: 'string', default: '128' },
    epochs: { type: 'string', default: '10' },
    lr: { type: 'string', default: '0.001' },
    seed: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});

/** How the future counts: the discount of rewards, and the weight of longer estimates of advantages. */
const [GAMMA, LAMBDA] = [0.99, 0.95];
/** By how much an update may change an action's probability, and what the value and the entropy count in the loss. */
const [CLIP, VALUE_WEIGHT, ENTROPY_WEIGHT] = [0.2, 0.5, 0.01];
const MINIBATCH = 256;
const OBSERVED = 4;

/** A cart on a track that is pushed left or right, with a pole on it. */
class Cart {
  /** Position in m, its speed, the pole's angle in radians, its speed. */
  state = [0, 0, 0, 0];
  /** Steps of the episode so far. */
  age = 0;

  constructor(private readonly random: data.Random) {
    this.reset();
  }

  reset(): void {
    this.state = this.state.map(() => this.random.uniform() * 0.1 - 0.05);
    this.age = 0;
  }

  /** Pushes for 20 ms. */
  step(action: number): { fallen: boolean; late: boolean } {
    const [gravity, cartMass, poleMass, halfLength, seconds] = [9.8, 1, 0.1, 0.5, 0.02];
    const [x, speed, angle, turning] = this.state as [number, number, number, number];
    const mass = cartMass + poleMass;
    const push = ((action === 1 ? 10 : -10) + poleMass * halfLength * turning ** 2 * Math.sin(angle)) / mass;
    const turn =
      (gravity * Math.sin(angle) - Math.cos(angle) * push) /
      (halfLength * (4 / 3 - (poleMass * Math.cos(angle) ** 2) / mass));
    const acceleration = push - (poleMass * halfLength * turn * Math.cos(angle)) / mass;
    this.state = [
      x + seconds * speed,
      speed + seconds * acceleration,
      angle + seconds * turning,
      turning + seconds * turn,
    ];
    this.age++;
    const fallen = Math.abs(this.state[0]!) > 2.4 || Math.abs(this.state[2]!) > Math.PI / 15;
    return { fallen, late: this.age >= 500 };
  }
}

const network = (out: number, gain: number): nn.Sequential => {
  const layers = [new nn.Linear(OBSERVED, 64), new nn.Linear(64, 64), new nn.Linear(64, out)] as const;
  layers.forEach(({ weight }, i) => nn.init.orthogonal_(weight, i < 2 ? Math.SQRT2 : gain));
  return new nn.Sequential(layers[0], new nn.Tanh(), layers[1], new nn.Tanh(), layers[2]);
};

class ActorCritic extends nn.Module {
  readonly actor = network(2, 0.01);
  readonly critic = network(1, 1);

  /** States [b, 4] to the policy, which has two actions, and values [b]. */
  forward(states: AnyTensor): [policy: distributions.Categorical, values: AnyTensor] {
    const policy = new distributions.Categorical({ logits: this.actor.forward(states) });
    return [policy, this.critic.forward(states).squeeze(1)];
  }
}

async function main(): Promise<void> {
  if (values.help) return console.log(usage);
  const [steps, count, horizon, seed] = [values.steps, values.carts, values.horizon, values.seed].map(Number) as [
    number,
    number,
    number,
    number,
  ];
  manualSeed(seed);
  const random = new data.Random(seed);
  const carts = Array.from({ length: count }, () => new Cart(random));
  const model = new ActorCritic();
  const optimizer = new optim.Adam(model.parameters(), { lr: Number(values.lr), epsilon: 1e-5 });
  const updates = Math.ceil(steps / (count * horizon));
  const schedule = new optim.PolynomialLR(optimizer, { totalIters: updates });

  /** What the network says of carts, without gradients. */
  const judge = async (states: readonly (readonly number[])[]): Promise<[logs: number[][], values: number[]]> => {
    const [policy, value] = noGrad(() => scope(() => model.forward(tensor(states as number[][]))));
    return Promise.all([policy.logits.toArray() as Promise<number[][]>, value.toArray() as Promise<number[]>]);
  };

  const learn = compile(
    (states: AnyTensor, actions: AnyTensor, before: AnyTensor, gains: AnyTensor, aims: AnyTensor) => {
      optimizer.zeroGrad();
      const [policy, value] = model.forward(states);
      const ratio = policy.logProb(actions).sub(before).exp();
      const clipped = ratio.clamp(1 - CLIP, 1 + CLIP);
      const advantage = gains.sub(gains.mean()).div(gains.std().add(1e-8));
      const gain = ratio.mul(advantage).minimum(clipped.mul(advantage)).mean();
      const error = nn.functional.mseLoss(value, aims).mul(VALUE_WEIGHT);
      const loss = error.sub(gain).sub(policy.entropy().mean().mul(ENTROPY_WEIGHT));
      loss.backward();
      optim.clipGradNorm(model.parameters(), 0.5);
      optimizer.step();
    },
  );

  using progress = new train.ProgressBar({ total: updates * count * horizon, unit: 'steps' });
  const ages: number[] = [];
  for (let update = 1; update <= updates; update++) {
    const seen: { state: number[]; action: number; log: number; value: number; reward: number; ended: boolean }[][] =
      [];
    for (let t = 0; t < horizon; t++) {
      const states = carts.map(({ state }) => state);
      const [logs, value] = await judge(states);
      const actions = logs.map(([left]) => (random.uniform() < Math.exp(left!) ? 0 : 1));
      const ends = carts.map((cart, i) => cart.step(actions[i]!));
      // An episode that only ran out of time would have gone on: its last state's value stands for the rest.
      const rest = ends.some(({ fallen, late }) => late && !fallen)
        ? (await judge(carts.map(({ state }) => state)))[1]
        : [];
      seen.push(
        carts.map((cart, i) => {
          const { fallen, late } = ends[i]!;
          const reward = 1 + (late && !fallen ? GAMMA * rest[i]! : 0);
          if (fallen || late) {
            ages.push(cart.age);
            cart.reset();
          }
          return {
            state: states[i]!,
            action: actions[i]!,
            log: logs[i]![actions[i]!]!,
            value: value[i]!,
            reward,
            ended: fallen || late,
          };
        }),
      );
    }

    // Generalized advantage estimation (Schulman et al., 2016), backwards.
    const gains = new Float32Array(horizon * count);
    const [, last] = await judge(carts.map(({ state }) => state));
    for (let i = 0; i < count; i++) {
      let [gain, following] = [0, last[i]!];
      for (let t = horizon - 1; t >= 0; t--) {
        const { reward, value, ended } = seen[t]![i]!;
        const goesOn = ended ? 0 : 1;
        gain = reward + GAMMA * following * goesOn - value + GAMMA * LAMBDA * goesOn * gain;
        gains[t * count + i] = gain;
        following = value;
      }
    }
    const all = seen.flat();
    const set = new data.TensorDataset(
      tensor(all.map(({ state }) => state)),
      tensor(Int32Array.from(all, ({ action }) => action)),
      tensor(Float32Array.from(all, ({ log }) => log)),
      tensor(gains),
      tensor(gains.map((gain, i) => gain + all[i]!.value)),
    );
    const loader = new data.DataLoader(set, {
      batchSize: MINIBATCH,
      shuffle: true,
      seed: seed + update,
      dropLast: true,
    });
    for (let epoch = 0; epoch < Number(values.epochs); epoch++) {
      for await (const batch of loader) learn(...(batch as unknown as Parameters<typeof learn>));
    }
    schedule.step();
    const lately = ages.slice(-20);
    progress.update(update * count * horizon, {
      'steps to the fall': (lately.reduce((sum, age) => sum + age, 0) / lately.length).toFixed(0),
    });
  }
  progress.stop();

  const judged = Array.from({ length: 20 }, () => new Cart(random));
  const standing = new Set(judged);
  while (standing.size > 0) {
    const left = [...standing];
    const [logs] = await judge(left.map(({ state }) => state));
    left.forEach((cart, i) => {
      const { fallen, late } = cart.step(logs[i]![0]! > logs[i]![1]! ? 0 : 1);
      if (fallen || late) standing.delete(cart);
    });
  }
  const mean = judged.reduce((sum, { age }) => sum + age, 0) / judged.length;
  console.log(`Balances for ${mean.toFixed(1)} of 500 steps, the mean of ${judged.length} carts`);
}

void main();
