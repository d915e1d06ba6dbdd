import type { Command } from '../command-line/command.ts';

/** `countersign demo` */
export const demoCommand: Command = {
  name: 'demo',
  summary: 'run the example bank under protection, with traffic, and show each decision',
  description:
    'Starts the example bank (authority, edge gateway, sidecars, a wrap, services) as processes of their own on loopback, makes\ntraffic and shows each decision as it happens, until interrupted: a readable view in a terminal, JSON lines in a pipe.\n--once plays the tour and ends: exit code 0 only when every scene went as expected.',
  options: {
    tour: {
      type: 'boolean',
      help: 'play the tour beside the traffic: a stolen token, a bulk reader and others are refused',
    },
    once: { type: 'boolean', help: 'play the tour once and end' },
    json: { type: 'boolean', help: 'print JSON lines also in a terminal' },
    data: {
      type: 'string',
      short: 'd',
      value: 'DIR',
      help: 'keep all state and logs there (default: a new folder)',
    },
    rate: {
      type: 'string',
      value: 'N',
      help: 'requests per second of the usual traffic (default 4)',
    },
  },
  examples: ['countersign demo', 'countersign demo --once --json'],
  run: async (args, io) => (await import('../demo/run-demo.ts')).runDemo(args, io),
};
