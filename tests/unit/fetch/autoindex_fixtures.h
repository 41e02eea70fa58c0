// Listings as the servers really sent them (Apache 2.4 with IndexOptions as named, nginx 1.22), all
// of one directory.
#pragma once

namespace imgcachefs::test {

inline constexpr char kApachePlain[] =
    R"LISTING(<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">
<html>
 <head>
  <title>Index of /plain</title>
 </head>
 <body>
<h1>Index of /plain</h1>
<ul><li><a href="/"> Parent Directory</a></li>
<li><a href="%3ctag%3e.img"> &lt;tag&gt;.img</a></li>
<li><a href="SHA256SUMS"> SHA256SUMS</a></li>
<li><a href="a%20b+c%23%25.img"> a b+c#%.img</a></li>
<li><a href="a%3fb.img"> a?b.img</a></li>
<li><a href="plain.img"> plain.img</a></li>
<li><a href="quote'%22.img"> quote'&quot;.img</a></li>
<li><a href="./sha256:abc"> sha256:abc</a></li>
<li><a href="subdir/"> subdir/</a></li>
<li><a href="very-long-name-that-apache-will-truncate-in-its-fancy-listing-0123456789.img"> very-long-name-that-apache-will-truncate-in-its-fancy-listing-0123456789.img</a></li>
<li><a href="x&amp;y.img"> x&amp;y.img</a></li>
<li><a href="%c3%a4.img"> ä.img</a></li>
</ul>
</body></html>
)LISTING";

inline constexpr char kApacheFancy[] =
    R"LISTING(<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">
<html>
 <head>
  <title>Index of /fancy</title>
 </head>
 <body>
<h1>Index of /fancy</h1>
<pre>      <a href="?C=N;O=D">Name</a>                    <a href="?C=M;O=A">Last modified</a>      <a href="?C=S;O=A">Size</a>  <a href="?C=D;O=A">Description</a><hr><a href="/">     </a> <a href="/">Parent Directory</a>                             -   
<a href="%3ctag%3e.img">     </a> <a href="%3ctag%3e.img">&lt;tag&gt;.img</a>               2026-11-20 07:53    0   
<a href="SHA256SUMS">     </a> <a href="SHA256SUMS">SHA256SUMS</a>              2026-11-20 07:53    0   
<a href="a%20b+c%23%25.img">     </a> <a href="a%20b+c%23%25.img">a b+c#%.img</a>             2026-11-20 07:53    0   
<a href="a%3fb.img">     </a> <a href="a%3fb.img">a?b.img</a>                 2026-11-20 07:53    0   
<a href="plain.img">     </a> <a href="plain.img">plain.img</a>               2026-11-20 07:53    0   
<a href="quote'%22.img">     </a> <a href="quote'%22.img">quote'&quot;.img</a>             2026-11-20 07:53    0   
<a href="./sha256:abc">     </a> <a href="./sha256:abc">sha256:abc</a>              2026-11-20 07:53    0   
<a href="subdir/">     </a> <a href="subdir/">subdir/</a>                 2026-11-20 07:53    -   
<a href="very-long-name-that-apache-will-truncate-in-its-fancy-listing-0123456789.img">     </a> <a href="very-long-name-that-apache-will-truncate-in-its-fancy-listing-0123456789.img">very-long-name-that-..&gt;</a> 2026-11-20 07:53    0   
<a href="x&amp;y.img">     </a> <a href="x&amp;y.img">x&amp;y.img</a>                 2026-11-20 07:53    0   
<a href="%c3%a4.img">     </a> <a href="%c3%a4.img">ä.img</a>                  2026-11-20 07:53    0   
<hr></pre>
</body></html>
)LISTING";

inline constexpr char kApacheTable[] =
    R"LISTING(<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">
<html>
 <head>
  <title>Index of /table</title>
 </head>
 <body>
<h1>Index of /table</h1>
  <table>
   <tr><th valign="top">&nbsp;</th><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th><th><a href="?C=S;O=A">Size</a></th><th><a href="?C=D;O=A">Description</a></th></tr>
   <tr><th colspan="5"><hr></th></tr>
<tr><td valign="top">&nbsp;</td><td><a href="/">Parent Directory</a>       </td><td>&nbsp;</td><td align="right">  - </td><td>&nbsp;</td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="%3ctag%3e.img">&lt;tag&gt;.img</a>              </td><td align="right">2026-11-20 07:53  </td><td align="right">  0 </td><td>&nbsp;</td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="SHA256SUMS">SHA256SUMS</a>             </td><td align="right">2026-11-20 07:53  </td><td align="right">  0 </td><td>&nbsp;</td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="a%20b+c%23%25.img">a b+c#%.img</a>            </td><td align="right">2026-11-20 07:53  </td><td align="right">  0 </td><td>&nbsp;</td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="a%3fb.img">a?b.img</a>                </td><td align="right">2026-11-20 07:53  </td><td align="right">  0 </td><td>&nbsp;</td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="plain.img">plain.img</a>              </td><td align="right">2026-11-20 07:53  </td><td align="right">  0 </td><td>&nbsp;</td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="quote'%22.img">quote'&quot;.img</a>            </td><td align="right">2026-11-20 07:53  </td><td align="right">  0 </td><td>&nbsp;</td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="./sha256:abc">sha256:abc</a>             </td><td align="right">2026-11-20 07:53  </td><td align="right">  0 </td><td>&nbsp;</td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="subdir/">subdir/</a>                </td><td align="right">2026-11-20 07:53  </td><td align="right">  - </td><td>&nbsp;</td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="very-long-name-that-apache-will-truncate-in-its-fancy-listing-0123456789.img">very-long-name-that-..&gt;</a></td><td align="right">2026-11-20 07:53  </td><td align="right">  0 </td><td>&nbsp;</td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="x&amp;y.img">x&amp;y.img</a>                </td><td align="right">2026-11-20 07:53  </td><td align="right">  0 </td><td>&nbsp;</td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="%c3%a4.img">ä.img</a>                 </td><td align="right">2026-11-20 07:53  </td><td align="right">  0 </td><td>&nbsp;</td></tr>
   <tr><th colspan="5"><hr></th></tr>
</table>
</body></html>
)LISTING";

inline constexpr char kNginxHtml[] = R"LISTING(<html>
<head><title>Index of /</title></head>
<body>
<h1>Index of /</h1><hr><pre><a href="../">../</a>
<a href="subdir/">subdir/</a>                                            20-Nov-2026 07:53                   -
<a href="%3Ctag%3E.img">&lt;tag&gt;.img</a>                                          20-Nov-2026 07:53                   0
<a href="SHA256SUMS">SHA256SUMS</a>                                         20-Nov-2026 07:53                   0
<a href="a%20b%2Bc%23%25.img">a b+c#%.img</a>                                        20-Nov-2026 07:53                   0
<a href="a%3Fb.img">a?b.img</a>                                            20-Nov-2026 07:53                   0
<a href="plain.img">plain.img</a>                                          20-Nov-2026 07:53                   0
<a href="quote%27%22.img">quote'&quot;.img</a>                                        20-Nov-2026 07:53                   0
<a href="sha256%3Aabc">sha256:abc</a>                                         20-Nov-2026 07:53                   0
<a href="very-long-name-that-apache-will-truncate-in-its-fancy-listing-0123456789.img">very-long-name-that-apache-will-truncate-in-its..&gt;</a> 20-Nov-2026 07:53                   0
<a href="x%26y.img">x&amp;y.img</a>                                            20-Nov-2026 07:53                   0
<a href="%C3%A4.img">ä.img</a>                                             20-Nov-2026 07:53                   0
</pre><hr></body>
</html>
)LISTING";

inline constexpr char kNginxJson[] = R"LISTING([
{ "name":"subdir", "type":"directory", "mtime":"Fri, 20 Nov 2026 07:53:59 GMT" },
{ "name":"<tag>.img", "type":"file", "mtime":"Fri, 20 Nov 2026 07:53:59 GMT", "size":0 },
{ "name":"SHA256SUMS", "type":"file", "mtime":"Fri, 20 Nov 2026 07:53:59 GMT", "size":0 },
{ "name":"a b+c#%.img", "type":"file", "mtime":"Fri, 20 Nov 2026 07:53:59 GMT", "size":0 },
{ "name":"a?b.img", "type":"file", "mtime":"Fri, 20 Nov 2026 07:53:59 GMT", "size":0 },
{ "name":"plain.img", "type":"file", "mtime":"Fri, 20 Nov 2026 07:53:59 GMT", "size":0 },
{ "name":"quote'\".img", "type":"file", "mtime":"Fri, 20 Nov 2026 07:53:59 GMT", "size":0 },
{ "name":"sha256:abc", "type":"file", "mtime":"Fri, 20 Nov 2026 07:53:59 GMT", "size":0 },
{ "name":"very-long-name-that-apache-will-truncate-in-its-fancy-listing-0123456789.img", "type":"file", "mtime":"Fri, 20 Nov 2026 07:53:59 GMT", "size":0 },
{ "name":"x&y.img", "type":"file", "mtime":"Fri, 20 Nov 2026 07:53:59 GMT", "size":0 },
{ "name":"ä.img", "type":"file", "mtime":"Fri, 20 Nov 2026 07:53:59 GMT", "size":0 }
])LISTING";

}  // namespace imgcachefs::test
