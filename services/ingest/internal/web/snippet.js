((d,n)=>{let s=d.currentScript,a=s.dataset,x="nurture_",L,i,v,h
try{L=localStorage}catch(e){}
let g=(k,y)=>{k=x+k
if(y)try{L[k]=y}catch(e){d.cookie=k+"="+escape(y)+";path=/;max-age=3e7"}
return L&&L[k]||unescape((d.cookie.match(k+"=([^;]*)")||[,""])[1])},b=()=>Date.now()+(Math.random()+"").slice(1),p=nurture=c=>{let r=d.referrer,u=location.href
if(c)g("ok",1)
if(!(n.doNotTrack>0||n.globalPrivacyControl)&&(a.consent==null||g("ok"))){i=g("id")||g("id",b())
v=g("first")||g("first",Date.now()+` ${r} `+u)
if(a.key&&u!=h)h=u,n.sendBeacon(s.src.replace(/v1.*/,"v1/p"),JSON.stringify({writeKey:a.key,anonymousId:i,messageId:b(),context:{page:{url:u,title:d.title,referrer:r}}}))}
d.querySelectorAll("form[data-nurture]").forEach(f=>"_nt page_url referrer anonymous_id _nf".split(" ").map((k,j)=>{let y=["TOKEN",u,r,i,v][j],e=f[k]
if(y){if(!e)e=d.createElement("input"),e.type="hidden",e.name=k,f.append(e)
e.value=y}}))}
p()
d.addEventListener("DOMContentLoaded",()=>p())})(document,navigator)
