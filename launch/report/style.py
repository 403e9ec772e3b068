"""How the page looks, and the little script that enlarges pictures."""

STYLE = """
:root{--paper:#f6f7f9;--card:#fff;--ink:#1b1f27;--muted:#667085;--line:#e3e6ec;--accent:#2f62d9;--warn:#d0342c;
--s0:#2f62d9;--s1:#d9771a;--s2:#23936a;--s3:#b0468f;--s4:#6b5bd6;--s5:#a0762b;--s6:#1795ab;--s7:#737985;
color-scheme:light dark}
@media(prefers-color-scheme:dark){:root{--paper:#14161b;--card:#1d2027;--ink:#e8eaf0;--muted:#98a1b2;--line:#323743;
--accent:#7ea6ff;--warn:#ff7a70;--s0:#7ea6ff;--s1:#f2a354;--s2:#53c79c;--s3:#e286c6;--s4:#a79bff;--s5:#d3ad66;
--s6:#57cbdf;--s7:#a5abb7}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,
"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}main{max-width:1180px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:1.7rem;line-height:1.2;margin:0;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:44px 0 12px}
h3{font-size:.95rem;margin:0 0 8px;font-weight:600}section>h3{margin-top:20px}.note{color:var(--muted);font-size:.85rem;
margin:8px 0 0}.card,.block,.figure,.large,pre{background:var(--card);border:1px solid var(--line);border-radius:10px}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-top:22px}
.figure{padding:12px 14px;display:flex;flex-direction:column}.figure span,.figure small{color:var(--muted);
font-size:.8rem}.figure b{font-size:1.45rem;line-height:1.35;font-weight:650;font-variant-numeric:tabular-nums}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(330px,100%),1fr));gap:14px;margin-top:12px}
.card{padding:14px 14px 12px}.card h3{display:flex;justify-content:space-between;gap:10px}.card h3 span{font-weight:500;
color:var(--accent);font-variant-numeric:tabular-nums;white-space:nowrap}svg{display:block;width:100%;
height:auto;overflow:visible}svg text{font-family:inherit!important}.large{margin:0;padding:12px;text-align:center}
.large img{max-width:100%;max-height:78vh;border-radius:6px;display:block;margin:0 auto}figcaption{color:var(--muted);
font-size:.9rem;margin-top:8px}.strip{display:flex;gap:10px;overflow-x:auto;padding:12px 2px 6px}
.strip button{flex:0 0 auto;width:118px;padding:5px;background:var(--card);border:1px solid var(--line);
border-radius:8px;
color:var(--muted);font:inherit;font-size:.78rem;cursor:pointer}.strip img{width:100%;height:78px;object-fit:cover;
object-position:top;border-radius:4px;display:block;margin-bottom:3px}
.strip button[aria-pressed=true]{border-color:var(--accent);color:var(--accent)}
.bar{display:flex;height:20px;border-radius:6px;overflow:hidden;background:var(--line);margin-bottom:10px}
.p0{background:#2f62d9}.p1{background:#e08a1e}.p2{background:#2a9d6f}.p3{background:#b0468f}.p4{background:#7a6ff0}
.p5{background:#8a8f99}.dot{display:inline-block;width:.7em;height:.7em;border-radius:50%;margin-right:.55em}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.87rem;font-variant-numeric:tabular-nums}
td,th{text-align:left;padding:5px 12px 5px 0;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child td{border-bottom:0}th{color:var(--muted);font-weight:500}
.numbers td+td,.numbers th+th{text-align:right;white-space:nowrap}
.blocks{columns:320px;column-gap:14px}.block{padding:12px 14px;margin-bottom:14px;break-inside:avoid}
.block td:last-child{overflow-wrap:anywhere}.block td:first-child{color:var(--muted);width:38%}
.wide td:first-child{width:auto}.wide td{min-width:6em}.wide td:last-child{overflow-wrap:normal}
pre{padding:12px 14px;margin:0 0 14px;white-space:pre-wrap;overflow-wrap:anywhere;font-size:.83rem}
.warn{border-left:4px solid var(--warn);padding:6px 12px;margin:16px 0 0;background:var(--card)}@media(max-width:560px){
main{padding:18px 12px 40px}h1{font-size:1.35rem}.figures{grid-template-columns:1fr 1fr}.figure b{font-size:1.2rem}}
.grid{border-collapse:separate;border-spacing:6px;width:auto}.grid td,.grid th{border:0;padding:0;text-align:center;
font-size:.75rem;color:var(--muted)}.grid th{padding-right:8px;text-align:right}.grid img{width:64px;height:64px;display:block;
image-rendering:pixelated;border-radius:4px}.grid .bad{color:var(--warn)}
.wide{padding:12px 14px;margin-top:14px}.overview{margin-top:22px}.legend{margin:0 0 6px;font-size:.8rem;
color:var(--muted);display:flex;flex-wrap:wrap;gap:2px 14px;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.note+.legend{margin-top:12px}.stroke{display:inline-block;width:1.3em;height:0;border-top:3px solid;
vertical-align:middle;margin-right:.45em}.dashed{border-top-style:dashed}
.s0{border-color:var(--s0)}.s1{border-color:var(--s1)}.s2{border-color:var(--s2)}.s3{border-color:var(--s3)}
.s4{border-color:var(--s4)}.s5{border-color:var(--s5)}.s6{border-color:var(--s6)}.s7{border-color:var(--s7)}
.galleries.several{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(440px,100%),1fr));gap:14px}
.gallery{min-width:0}details{margin-top:14px}summary{cursor:pointer;color:var(--muted);font-size:.9rem}
details pre{margin-top:12px}@media(max-width:560px){.large .scroll img{max-width:none;max-height:none;width:220%}
.large{padding:8px}}
"""

SCRIPT = """
for(const gallery of document.querySelectorAll('.gallery')){
const large=gallery.querySelector('.large img'),caption=gallery.querySelector('figcaption');
const buttons=[...gallery.querySelectorAll('.strip button')];if(!buttons.length)continue;
const show=b=>{large.src=b.querySelector('img').src;large.alt='samples, '+b.dataset.caption;
caption.textContent=b.dataset.caption;buttons.forEach(o=>o.setAttribute('aria-pressed',o===b))};
buttons.forEach(b=>b.addEventListener('click',()=>show(b)));show(buttons[buttons.length-1]);
const strip=gallery.querySelector('.strip');strip.scrollLeft=strip.scrollWidth}
"""
