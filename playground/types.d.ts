// The shapes of data that the modules in page/ hand to each other; for the checker of types alone.

type Values = Float32Array | Float64Array | number[];

/** Values row by row, the last index running fastest. */
interface Tensor {
  values: Values;
  shape: number[];
}

type Point = [number, number];

interface Mlp {
  W1: Tensor;
  b1: Tensor;
  W2: Tensor;
  b2: Tensor;
}

/** A layer as PyTorch calls it; `weight` and `bias` where it has them, `size` of a pool. */
interface Layer {
  name: string;
  kind: "Conv2d" | "MaxPool2d" | "ReLU" | "Flatten" | "Linear";
  weight: Tensor;
  bias: Tensor;
  size: number;
}

/** Values row by row, 0 for paper and up to 1 for ink. */
interface Picture {
  pixels: Values;
  width: number;
  height: number;
}

interface MlpResult {
  activations: Float64Array;
  logits: Values;
  probabilities: number[];
}

interface CnnResult {
  /** What goes into each layer, and after the last what comes out. */
  steps: Tensor[];
  maps: { name: string; values: Values; shape: number[] }[];
  logits: Values;
  probabilities: number[];
}

interface LabelledImages {
  images: Float32Array;
  labels: number[];
}

interface Settings {
  units: number;
  rate: number;
  batchSize: number;
  mean: boolean;
  zero: boolean;
  seed: number;
  /** Counts the networks that were begun: reports of an earlier one may still be on their way. */
  course: number;
}

interface TrainingData {
  train: LabelledImages;
  validation: LabelledImages;
}

/** Shares of images read right and of hidden values that are saturated, from 0 to 1. */
interface Evaluation {
  step: number;
  train: number;
  validation: number;
  saturated: number;
}

interface Progress {
  course: number;
  steps: number;
  /** How often all images were used, on average. */
  epochs: number;
  /** Mean loss of an image, of each step since the last report. */
  losses: number[];
  evaluations: Evaluation[];
  mlp: Mlp;
  running: boolean;
  /** Steps a second. */
  speed: number;
}

declare const WorkerGlobalScope: unknown;

/** What the networks make of the drawing; null of an empty one. */
interface Thought {
  seen: Float32Array | null;
  byMlp: MlpResult | null;
  byCnn: CnnResult | null;
}

interface View {
  /** Make its elements, for these networks. */
  build(): void;
  show(thought: Thought): void;
}

/** One image on its way back through the MLP. */
interface Chain {
  mlp: Mlp;
  image: Values;
  digit: number;
  unit: number;
  back: {
    activations: Float64Array;
    probabilities: number[];
    loss: number;
    delta2: number[];
    arriving: Float64Array;
    slopes: Float64Array;
    delta1: Float64Array;
  };
}

/** What a number is made of: rows of factors, numbers on the way, and its value. */
interface Explanation {
  name: string;
  formula: string;
  heads: string[];
  rows: (string | number)[][];
  after?: [string, number][];
  value: number;
}

interface Quantity {
  columns(chain: Chain): number;
  values(chain: Chain): Values;
  explain(chain: Chain, at: number): Explanation;
}

/** A layer of a network whose units or filters can be broken; `next` is what a sigmoid unit feeds. */
interface Part {
  network: string;
  name: string;
  piece: string;
  weight: Tensor;
  bias: Tensor;
  next?: Tensor;
}
