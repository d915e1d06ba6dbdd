import { sample } from '../sample.ts';
import type { Answer, Engine, Mode } from './engine.ts';

/** An engine that is JavaScript, or WebAssembly, and decides on this thread. */
export function inProcess(engine: {
  name: string;
  count: number;
  modes: { readonly [mode in Mode]?: (index: number) => unknown };
  answer(index: number): Answer;
}): Engine {
  const { name, count, modes } = engine;
  return {
    name,
    modes: Object.keys(modes) as Mode[],
    async answers() {
      return Array.from({ length: count }, (_, index) => engine.answer(index));
    },
    async measure(mode, seconds) {
      const decide = modes[mode];
      if (decide === undefined) throw new Error(`could not measure ${name}: found mode '${mode}'`);
      return sample(decide, { count, seconds });
    },
    async close() {},
  };
}
