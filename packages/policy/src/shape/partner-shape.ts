import { z } from 'zod';
import { date, kebab, words } from './scalars.ts';

/** One entry of `partners/*.yaml`. */
export const partnerShape = z
  .strictObject({
    name: kebab('the name of the organisation; identities name it', 'ledgerly'),
    legalName: words('its name in the contract', 'Ledgerly Ltd'),
    sponsor: words('who at the bank answers for it', 'open-banking@bank.example'),
    contract: words('a reference to the contract', 'OB-2026-0117'),
    until: date(
      'the last day of the contract, in UTC: then its subjects are refused',
      '2027-12-31',
    ),
  })
  .meta({ description: 'an organisation that the bank works with' });

/** `partners/*.yaml`. */
export const partnersShape = z
  .array(partnerShape)
  .meta({ title: 'partners/*.yaml', description: 'organisations: contract, sponsor, end' });
