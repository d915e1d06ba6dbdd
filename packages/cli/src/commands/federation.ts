import {
  type Arguments,
  type Command,
  EXIT,
  type Io,
  UsageError,
} from '../command-line/command.ts';
import type { FederationStatus, PartnerDetail } from '../federation/federation-routes.ts';
import { federationLines, isFederationWell, partnerText } from '../federation/federation-text.ts';
import { authorityOf, print, shared } from './options.ts';

function partnerOf(args: Arguments): string {
  const [name] = args.operands;
  if (!name) throw new UsageError('found no trust domain, expected a partner: fintech.example');
  return encodeURIComponent(name.replace(/^spiffe:\/\//, ''));
}

/** `countersign federation list` */
export const federationListCommand: Command = {
  name: 'federation list',
  summary: 'tell with which trust domains the bank federates, and how their bundles stand',
  description:
    'Asks the authority that runs on this data folder. First where our own bundle is served; then each partner of federation/*.yaml: whether\nits bundle is trusted, its sequence, when its endpoint was last heard and what is wrong with it. Exit code 1 when one is not fresh.',
  options: { data: shared.data, json: shared.json },
  async run(args, io) {
    const status = await authorityOf(args, io).call<FederationStatus>('GET', '/v1/federation');
    const lines = federationLines(status).slice(1);
    print(io, args, status, lines.join('\n') || 'no federation');
    return isFederationWell(status) ? EXIT.ok : EXIT.negative;
  },
};

/** `countersign federation show` */
export const federationShowCommand: Command = {
  name: 'federation show',
  summary: 'tell all of one partner: endpoint, authorities, who of it is registered',
  operands: 'TRUST-DOMAIN',
  operandsMax: 1,
  description:
    'The authorities are those of its last good bundle, in force or not. Exit code 1 when it is not fresh.',
  options: { data: shared.data, json: shared.json },
  examples: ['countersign federation show fintech.example'],
  async run(args, io) {
    const path = `/v1/federation/${partnerOf(args)}`;
    return tell(await authorityOf(args, io).call<PartnerDetail>('GET', path), args, io);
  },
};

/** `countersign federation refresh` */
export const federationRefreshCommand: Command = {
  name: 'federation refresh',
  summary: "fetch a partner's bundle now",
  operands: 'TRUST-DOMAIN',
  operandsMax: 1,
  description:
    'Beside the regular fetches, and in the record. What comes is held to the same rules: a sequence that goes back is refused.\nExit code 1 when nothing good came.',
  options: { data: shared.data, json: shared.json },
  examples: ['countersign federation refresh fintech.example'],
  async run(args, io) {
    const path = `/v1/federation/${partnerOf(args)}/refresh`;
    return tell(await authorityOf(args, io).call<PartnerDetail>('POST', path), args, io);
  },
};

/** `countersign federation bundle` */
export const federationBundleCommand: Command = {
  name: 'federation bundle',
  summary: "print the trust domain's own bundle, for a partner to begin with",
  description:
    "A SPIFFE bundle (JWK Set; public keys only), as the bundle endpoints serve it. A partner that federates by https_spiffe needs it once,\nby another way than the endpoint: as 'bundleFile' of its federation/*.yaml, or for SPIRE 'spire-server federation create -trustDomainBundlePath'.",
  options: { data: shared.data },
  examples: ['countersign federation bundle > bank.example.json'],
  async run(args, io) {
    const bundle = await authorityOf(args, io).call<object>('GET', '/v1/bundle');
    io.out(`${JSON.stringify(bundle, undefined, 2)}\n`);
    return EXIT.ok;
  },
};

function tell(detail: PartnerDetail, args: Arguments, io: Io): number {
  print(io, args, detail, partnerText(detail));
  return detail.standing === 'trusted' && !detail.trouble ? EXIT.ok : EXIT.negative;
}
