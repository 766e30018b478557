/** What the demo's people are called and say of themselves, by language. Nobody of that name is meant. */

type Choice = readonly [string, ...ReadonlyArray<string>]

export interface Language {
  /** BCP 47. */
  readonly tag: string
  readonly given: Choice
  readonly family: Choice
  /** How both are joined; family names come first where that is the custom. */
  readonly order: "given family" | "family given" | "familygiven"
  /** What somebody does. */
  readonly work: Choice
  /** What somebody likes. */
  readonly leisure: Choice
  /** What somebody says in passing. */
  readonly note: Choice
}

export const languages: readonly [Language, ...ReadonlyArray<Language>] = [
  {
    tag: "en",
    given: ["Ada", "Rowan", "Imogen", "Theo", "Maeve", "Silas", "Juno", "Ezra"],
    family: ["Whitlock", "Okafor", "Penhale", "Marsh", "Calloway", "Bright", "Sorley", "Finch"],
    order: "given family",
    work: [
      "Repairs clocks older than railways.",
      "Writes firmware for weather buoys.",
      "Teaches chemistry to night owls."
    ],
    leisure: ["Bakes too much bread.", "Collects maps of places that moved.", "Runs slowly, far."],
    note: [
      "The kettle is on, the build is green.",
      "Found a door in the hedge today.",
      "Low tide at noon, see you there."
    ]
  },
  {
    tag: "de",
    given: ["Jonna", "Emil", "Frieda", "Anton", "Lotte", "Bruno"],
    family: ["Grünwald", "Äckerle", "Voß", "Sommerfeld", "Köhlbrand", "Hübner"],
    order: "given family",
    work: [
      "Stimmt Orgeln zwischen Kiel und Flensburg.",
      "Baut Lastenräder in einer alten Gießerei.",
      "Übersetzt Bedienungsanleitungen, manchmal Gedichte."
    ],
    leisure: ["Sammelt Pilze und Fahrpläne.", "Spielt Tuba, zum Leid der Nachbarn.", "Liest am liebsten im Zug."],
    note: ["Der Kuchen ist weg, die Gäste auch.", "Heute endlich Regen.", "Wer hat meinen Schraubenzieher gesehen?"]
  },
  {
    tag: "es",
    given: ["Inés", "Mateo", "Lucía", "Íñigo", "Pilar", "Nicolás"],
    family: ["Quiñones", "Arrieta", "Del Río", "Peñalver", "Bermúdez", "Ibáñez"],
    order: "given family",
    work: [
      "Restaura azulejos y cuenta historias.",
      "Diseña turbinas pequeñas para ríos pequeños.",
      "Partera rural, jardinera los domingos."
    ],
    leisure: ["Camino, mate y buena sombra.", "Canto en un coro que desafina poco.", "Colecciono semillas de tomate."],
    note: ["¡Por fin florecieron los almendros!", "Hoy el pan salió perfecto.", "¿Quién madruga mañana?"]
  },
  {
    tag: "pt",
    given: ["Thaís", "João", "Conceição", "Caetano", "Iara", "Vinícius"],
    family: ["Gonçalves", "Araújo", "Brandão", "Simões", "Mourão", "Leitão"],
    order: "given family",
    work: [
      "Faço pranchas de madeira reaproveitada.",
      "Programo elevadores para prédios teimosos.",
      "Cozinheira de barco, entre o rio e o mar."
    ],
    leisure: ["Violão desafinado e café forte.", "Fotografo nuvens em preto e branco.", "Jogo capoeira às terças."],
    note: ["Hoje o mar está um espelho.", "Alguém mais viu a lua?", "Feijão no fogo, conversa na varanda."]
  },
  {
    tag: "fr",
    given: ["Éloïse", "Bastien", "Noémie", "Gaël", "Océane", "Thibault"],
    family: ["Lefèvre", "Châtaignier", "Garçon", "Boisvert", "L'Hermitte", "Dufaÿ"],
    order: "given family",
    work: [
      "Luthière, entre l'érable et l'épicéa.",
      "J'élève des abeilles sur les toits.",
      "Cartographe des sentiers oubliés."
    ],
    leisure: [
      "Vélo, brocante et tarte aux prunes.",
      "Grande lectrice de petits livres.",
      "Je nage en eau froide, sans raison."
    ],
    note: [
      "Le marché sentait la menthe ce matin.",
      "Encore une page, puis je dors.",
      "Brouillard épais, idées claires."
    ]
  },
  {
    tag: "ja",
    given: ["陽菜", "蓮", "美月", "悠真", "さくら", "健太"],
    family: ["星野", "白川", "小鳥遊", "桐島", "水無瀬", "高槻"],
    order: "familygiven",
    work: ["古い時計を直しています。", "小さな町で豆腐を作っています。", "電車の音を録る仕事です。"],
    leisure: ["山と温泉と猫。", "週末は将棋を指します。", "雨の日の散歩が好き。"],
    note: ["今朝は霜が降りた。", "新しい豆を挽いてみた。", "猫がまた箱に入っている。"]
  },
  {
    tag: "zh",
    given: ["晓雯", "子墨", "雨桐", "浩然", "思远", "一诺"],
    family: ["欧阳", "林", "沈", "顾", "叶", "陆"],
    order: "familygiven",
    work: ["在海边修木船。", "教小朋友观星。", "写编译器,也写信。"],
    leisure: ["爱喝茶,爱走夜路。", "养了三盆不开花的兰花。", "周末骑车去看桥。"],
    note: ["今天的云像一群羊。", "终于把旧收音机修好了。", "晚饭是番茄炒蛋。"]
  },
  {
    tag: "ko",
    given: ["서연", "민준", "하은", "도윤", "지우", "예린"],
    family: ["남궁", "김", "박", "서", "윤", "한"],
    order: "familygiven",
    work: ["작은 책방을 지키고 있어요.", "도자기를 굽고 가마를 고칩니다.", "섬에서 등대를 관리합니다."],
    leisure: ["등산과 막걸리를 좋아해요.", "손글씨 편지를 모읍니다.", "새벽 달리기 삼 년째."],
    note: ["오늘은 바람이 세다.", "첫눈이 왔어요.", "국수가 불기 전에 오세요."]
  },
  {
    tag: "ar",
    given: ["ليلى", "يوسف", "نور", "كريم", "سلمى", "زياد"],
    family: ["الحداد", "النجار", "الخطيب", "المصري", "البحري", "الشامي"],
    order: "given family",
    work: ["أصلح الساعات القديمة في السوق.", "أكتب برامج لمحطات المياه.", "أعلّم الخط العربي للصغار."],
    leisure: ["القهوة والبحر والكتب.", "أجمع الطوابع منذ الصغر.", "أمشي كثيرا وأتكلم قليلا."],
    note: ["صباح هادئ بعد المطر.", "الخبز ساخن والباب مفتوح.", "رأيت طائرا لا أعرف اسمه."]
  },
  {
    tag: "ru",
    given: ["Агата", "Тимур", "Василиса", "Лев", "Злата", "Матвей"],
    family: ["Ясень", "Соколик", "Бережная", "Крутояр", "Лугова", "Подснежный"],
    order: "given family",
    work: ["Чиню лодочные моторы и старые споры.", "Рисую карты подземных рек.", "Веду кружок радиолюбителей."],
    leisure: ["Люблю поезда, чай и тишину.", "Сушу грибы, солю огурцы.", "Пою в хоре вторым голосом."],
    note: ["Лёд на озере уже держит.", "Снова забыл зонт.", "Кот одобрил новый диван."]
  },
  {
    tag: "hi",
    given: ["आरोही", "विहान", "काव्या", "इशान", "मीरा", "कबीर"],
    family: ["शर्मा", "पाटिल", "रावत", "मेहता", "चौहान", "नेगी"],
    order: "given family",
    work: ["पहाड़ों में सौर चूल्हे बनाती हूँ।", "पुराने रेडियो ठीक करता हूँ।", "गाँव के बच्चों को गणित पढ़ाता हूँ।"],
    leisure: ["चाय, बारिश और किताबें।", "तबला सीख रहा हूँ, धीरे धीरे।", "पतंग उड़ाना पसंद है।"],
    note: ["आज आम की पहली खेप आई।", "नदी का पानी उतर गया।", "सुबह की धूप बहुत अच्छी थी।"]
  },
  {
    tag: "fa",
    given: ["شیرین", "آرش", "نگار", "کیان", "پریسا", "بهرام"],
    family: ["کوهستانی", "دریایی", "رضوانی", "بهاری", "سپهری‌نیا", "نیک‌خواه"],
    order: "given family",
    work: ["فرش‌های کهنه را رفو می‌کنم.", "برای رصدخانه نرم‌افزار می‌نویسم.", "در باغ پسته کار می‌کنم."],
    leisure: ["شعر، چای و پیاده‌روی.", "عکس از پنجره‌های آبی.", "شب‌ها سه‌تار می‌زنم."],
    note: ["باران بند آمد.", "نان تازه رسید.", "امشب ستاره‌ها نزدیک‌اند."]
  },
  {
    tag: "uk",
    given: ["Соломія", "Остап", "Мирослава", "Назар", "Ярина", "Данило"],
    family: ["Вишня", "Криниця", "Довгополюк", "Ясинський", "Гай", "Заболотний"],
    order: "given family",
    work: ["Лагоджу вітряки й велосипеди.", "Пишу казки для радіо.", "Вирощую гарбузи на змаганнях."],
    leisure: ["Кава, гори, бандура.", "Читаю мапи, як романи.", "Малюю котів сусідів."],
    note: ["Сьогодні зацвіли вишні.", "Їжак повернувся!", "Потяг запізнився, зате який захід сонця."]
  },
  {
    tag: "vi",
    given: ["Thảo My", "Quốc Bảo", "Ánh Dương", "Minh Khôi", "Hạ Vy", "Gia Huy"],
    family: ["Nguyễn", "Trần", "Phạm", "Đặng", "Võ", "Huỳnh"],
    order: "family given",
    work: ["Sửa xe đạp ở góc phố cũ.", "Viết phần mềm cho thuyền cá.", "Dạy trẻ làm diều sáo."],
    leisure: ["Thích mưa, phở và sách cũ.", "Trồng rau trên sân thượng.", "Chạy bộ quanh hồ mỗi sáng."],
    note: ["Trời vừa tạnh mưa.", "Nồi phở đã sẵn sàng.", "Hôm nay sông yên quá."]
  }
]

/** Endings that people put behind a name. */
export const ornaments: Choice = ["", "", "", "", "", " 🌊", " ⚡", " 🐢", " (she/her)", " | 🌻", " 🇺🇳", " ✨"]

export const websites: Choice = [
  "https://garden.example",
  "https://workshop.example/about",
  "http://old-pages.example/~me",
  "https://xn--bcher-kva.example"
]

export const nip05Domains: Choice = ["garden.example", "workshop.example", "letters.example", "harbour.example"]

/** Relays that only exist on paper, as many in real lists do. */
export const deadRelays: Choice = [
  "wss://relay.garden.example",
  "wss://relay.workshop.example/",
  "wss://INBOX.letters.example:443",
  "wss://nostr.harbour.example"
]
