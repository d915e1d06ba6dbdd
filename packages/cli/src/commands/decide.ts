import type { Command } from '../command-line/command.ts';
import { shared } from './options.ts';

/** `countersign decide` */
export const decideCommand: Command = {
  name: 'decide',
  summary: 'make one decision and explain it: a question of yours, or a recorded one again',
  description:
    'Asks the policies of a repository, offline, with the facts that the repository states (registrations, entities). With --event a\ndecision from the logs of a data folder is made again, under the policy version and the facts that it names.\nExit code 0 for a permit (or the same answer again), 1 for anything else.',
  options: {
    repository: shared.repository,
    subject: {
      type: 'string',
      value: 'ID',
      help: 'in whose name: partner/ledgerly, or a SPIFFE ID',
    },
    customer: {
      type: 'string',
      value: 'FILE',
      help: 'what its token vouches of a customer: JSON with "attributes" and "parents"; - is standard input',
    },
    caller: { type: 'string', value: 'ID', help: 'the workload on the line, at an inner hop' },
    surface: { type: 'string', value: 'NAME', help: 'the protect surface' },
    action: { type: 'string', value: 'OPERATION', help: 'an operationId of the surface' },
    param: {
      type: 'string',
      multiple: true,
      value: 'NAME=VALUE',
      help: 'a path parameter; repeat for each',
    },
    scope: {
      type: 'string',
      multiple: true,
      value: 'SCOPE',
      help: 'a scope of the token; repeat for each',
    },
    proof: { type: 'string', value: 'HOW', help: 'key proof: none, mtls, dpop (default mtls)' },
    transaction: {
      type: 'string',
      value: 'ID',
      help: 'the workload where the transaction came in',
    },
    acr: { type: 'string', value: 'ACR', help: 'authentication context class of the session' },
    ip: { type: 'string', value: 'ADDRESS', help: "the peer's address (default 127.0.0.1)" },
    device: { type: 'string', value: 'NAME', help: 'the enrolled device that it comes from' },
    posture: {
      type: 'string',
      multiple: true,
      value: 'SIGNAL=BOOL',
      help: 'what is known of that device: diskEncrypted=true; the rest is unknown',
    },
    risk: { type: 'string', value: 'LEVEL', help: 'assume LOW, MEDIUM or HIGH (default: unknown)' },
    event: { type: 'string', value: 'EVENT-ID', help: 'make this recorded decision again' },
    data: shared.data,
    json: shared.json,
  },
  examples: [
    'countersign decide --subject partner/ledgerly --surface accounts --action GetAccount --param AccountId=22289 --scope accounts',
    'countersign decide --subject customer/7f3a91 --customer 7f3a91.json --surface accounts --action GetAccount --param AccountId=22289 --scope accounts',
    'countersign decide --event 4fzq… --data data',
  ],
  run: async (args, io) => (await import('../decide/run-decide.ts')).runDecide(args, io),
};
