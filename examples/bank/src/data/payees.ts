/** Somebody that customers pay, what for, and how much it usually is (pence). */
export interface Payee {
  readonly name: string;
  /** ISO 18245 merchant category code. */
  readonly categoryCode: string;
  readonly usual: number;
  /** How far amounts scatter: deviation of the logarithm. */
  readonly spread: number;
}

/** Where cards are used from day to day. Every name is invented. */
export const MERCHANTS: readonly Payee[] = [
  { name: 'Larkspur Grocers', categoryCode: '5411', usual: 3_400, spread: 0.7 },
  { name: 'Harbour Street Market', categoryCode: '5411', usual: 1_850, spread: 0.6 },
  { name: 'Fennimore Foods', categoryCode: '5411', usual: 5_200, spread: 0.5 },
  { name: 'Tin Kettle Coffee', categoryCode: '5814', usual: 390, spread: 0.3 },
  { name: 'Nine Loaves Bakery', categoryCode: '5462', usual: 560, spread: 0.4 },
  { name: 'Saffron Yard Kitchen', categoryCode: '5812', usual: 2_900, spread: 0.5 },
  { name: 'Metroline Travel', categoryCode: '4111', usual: 280, spread: 0.5 },
  { name: 'Northway Rail', categoryCode: '4112', usual: 2_450, spread: 0.7 },
  { name: 'Peregrine Fuel', categoryCode: '5541', usual: 4_700, spread: 0.3 },
  { name: 'Quill & Margin Books', categoryCode: '5942', usual: 1_450, spread: 0.5 },
  { name: 'Oakenshaw Pharmacy', categoryCode: '5912', usual: 890, spread: 0.6 },
  { name: 'Brightside Hardware', categoryCode: '5251', usual: 2_150, spread: 0.8 },
  { name: 'Lantern Cinema', categoryCode: '7832', usual: 1_700, spread: 0.3 },
  { name: 'Thistledown Clothing', categoryCode: '5651', usual: 4_100, spread: 0.6 },
  { name: 'Kestrel Sports Club', categoryCode: '7997', usual: 2_600, spread: 0.2 },
  { name: 'Parcelwright', categoryCode: '4215', usual: 720, spread: 0.5 },
];

/** Who is paid by standing order: monthly, on a fixed day, the same amount. */
export const STANDING_PAYEES: readonly Payee[] = [
  { name: 'Wetherby Lettings', categoryCode: '6513', usual: 89_000, spread: 0.35 },
  { name: 'Mossgate Water', categoryCode: '4900', usual: 3_600, spread: 0.2 },
  { name: 'Cobalt Energy', categoryCode: '4900', usual: 9_800, spread: 0.4 },
  { name: 'Farline Broadband', categoryCode: '4899', usual: 3_200, spread: 0.2 },
  { name: 'Borough of Elmsworth', categoryCode: '9311', usual: 14_500, spread: 0.25 },
  { name: 'Steady Hand Insurance', categoryCode: '6300', usual: 4_300, spread: 0.4 },
  { name: 'Tidewell Savings Plan', categoryCode: '6012', usual: 15_000, spread: 0.6 },
];

/** Who pays salaries. */
export const EMPLOYERS: readonly string[] = [
  'Ashdown Engineering',
  'Borough of Elmsworth',
  'Cartwright & Vane Solicitors',
  'Dovecote Primary School',
  'Elmsworth General Hospital',
  'Foxglove Logistics',
  'Grainger Software',
  'Hollin Mill Textiles',
];

/** Names of people; combinations belong to nobody we know. */
export const GIVEN_NAMES: readonly string[] =
  'Ada,Amir,Beatrix,Callum,Chidi,Dilys,Edmund,Farah,Gethin,Hana,Imogen,Jonah,Katya,Leif,Mabel,Nikhil,Oona,Piotr,Quentin,Rosa,Silas,Tamsin,Uma,Viktor,Wren,Yusuf,Zelda'.split(
    ',',
  );
/** Family names, as {@link GIVEN_NAMES}. */
export const FAMILY_NAMES: readonly string[] =
  'Abernant,Birchall,Coldwater,Dunmore,Eastlake,Farrow,Greywell,Hathersage,Ingleby,Jessop,Kirkwall,Lowther,Merrow,Nettleton,Okonjo,Penhallow,Quarrie,Redfern,Saltmarsh,Thorne,Underhill,Varga,Whitlock,Yarrow'.split(
    ',',
  );
