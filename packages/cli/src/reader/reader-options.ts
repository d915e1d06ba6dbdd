import type { OptionSpec } from '../command-line/command.ts';

/** Options of commands that can read the record from another machine than the authority's. */
export const readerOptions: Readonly<
  Record<'authority' | 'svid' | 'trust' | 'join-token-file', OptionSpec>
> = {
  authority: {
    type: 'string',
    value: 'URL',
    help: 'read over the network, from the authority there, as one of its record.readers',
  },
  svid: {
    type: 'string',
    value: 'DIR',
    help: 'with --authority: where your SVID is kept (default: DATA/svid)',
  },
  trust: {
    type: 'string',
    value: 'FILE',
    help: "with --authority: the authority's trust.json (default: DATA/trust.json)",
  },
  'join-token-file': {
    type: 'string',
    value: 'FILE',
    help: 'with --authority: holds a join token, while there is no SVID (or COUNTERSIGN_JOIN_TOKEN)',
  },
};
